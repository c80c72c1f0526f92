import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect } from "react";
import { Link, useLocation } from "wouter";
import { client } from "../api/client";
import { useMe } from "./me";
import { PatientParts } from "./PatientParts";
import { type FoundPage, mayOpen, pages } from "./pages";
import styles from "./Shell.module.css";
import { useShortcutList } from "./shortcuts";

/** Modes in which nothing is a patient of this hospital. */
const MARKED_MODES: Record<string, string> = { demo: "Demonstration", research: "Research" };

interface Props {
  page: FoundPage | null;
  patientId: string;
  children: ReactNode;
}

/** The bar on top, the parts of the patient, and the page. */
export function Shell({ page, patientId, children }: Props) {
  const me = useMe();
  const [here] = useLocation();
  const cache = useQueryClient();
  const showKeys = useShortcutList();
  useEffect(() => {
    document.title = page ? `${page.title} · Hepatica` : "Hepatica";
  }, [page]);
  const entries = pages
    .filter((one) => one.nav && mayOpen(one, me))
    .sort((one, other) => (one.nav?.order ?? 0) - (other.nav?.order ?? 0));
  async function leave() {
    await client.POST("/api/logout");
    cache.clear();
    window.location.assign("./");
  }
  return (
    <div className={styles.shell}>
      <a
        className={styles.skip}
        href="#page"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("page")?.focus();
        }}
      >
        To the page
      </a>
      <header className={styles.bar}>
        <Link href="/" className={styles.brand ?? ""}>
          <img src="./icon.svg" alt="" />
          Hepatica
        </Link>
        <span className={styles.note}>Research use, not a medical device</span>
        {MARKED_MODES[me.mode] ? <span className={styles.mode}>{MARKED_MODES[me.mode]}</span> : null}
        {me.mode === "research" ? (
          <span className={styles.mode} title="Every date of a patient is moved by his own number of days. Intervals are true.">
            Dates are moved
          </span>
        ) : null}
        <nav className={styles.nav} aria-label="Pages">
          {entries.map((one) => (
            <Link
              key={one.name}
              href={one.path}
              aria-current={here === one.path || here.startsWith(`${one.path}/`) ? "page" : undefined}
            >
              {one.nav?.label}
            </Link>
          ))}
        </nav>
        <span className={styles.person} title={`Logged in as ${me.login}: ${me.roles.join(", ").replaceAll("_", " ")}`}>
          <span className="visually-hidden">Logged in as </span>
          {me.display_name}
        </span>
        <button type="button" className={styles.barButton} onClick={showKeys} aria-label="Keys of this page">
          ?
        </button>
        <button type="button" className={styles.barButton} onClick={() => void leave()}>
          Log out
        </button>
      </header>
      {patientId ? <PatientParts patientId={patientId} /> : null}
      <main id="page" tabIndex={-1} className={styles.page} data-dark={page?.dark ? "true" : undefined} data-page={page?.name}>
        {children}
      </main>
    </div>
  );
}
