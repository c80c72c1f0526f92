import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { toSentence } from "../api/problem";
import { readWays, startLogin } from "../api/provider";
import { Button } from "../ui/Button";
import { DoorRoom } from "./DoorRoom";
import styles from "./Login.module.css";

/** How people of this server may log in. */
export function useWays() {
  return useQuery({ queryKey: ["ways"], queryFn: readWays, staleTime: Number.POSITIVE_INFINITY });
}

interface Props {
  label: string;
  /** The secret of an invitation that is accepted so. */
  link?: string;
  /** Keep this page, and log in beside it. */
  onBeside?: () => void;
}

/** Go to the identity provider. */
export function ProviderButton({ label, link = "", onBeside }: Props) {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  async function leave() {
    setBusy(true);
    setProblem("");
    try {
      const url = await startLogin(link);
      if (onBeside) {
        window.open(url, "_blank", "noopener");
        onBeside();
        setBusy(false);
      } else window.location.assign(url);
    } catch (error) {
      setProblem(toSentence(error));
      setBusy(false);
    }
  }
  return (
    <>
      <Button look="main" busy={busy} onClick={() => void leave()}>
        {label}
      </Button>
      {problem ? <p role="alert">{problem}</p> : null}
    </>
  );
}

const REASONS: Record<string, string> = {
  authentication: "The login was not accepted. You may not be invited to this record, your invitation may be too old, or the login took too long.",
  provider: "The identity provider does not answer as it should. Try again in a few minutes.",
  not_set: "This server has no identity provider.",
  too_many: "Too many people log in at once. Wait a minute and try again.",
};

/** Where a refused login at the provider ends. */
export function RefusedPage({ code }: { code: string }) {
  return (
    <DoorRoom>
      <div role="alert" data-refused={code}>
        <h2>You are not logged in</h2>
        <p>{REASONS[code] ?? "The login was refused."}</p>
      </div>
      <p className={styles.quiet}>If it happens again, ask the administrator for an invitation.</p>
      <Link href="/">Back to the login</Link>
    </DoorRoom>
  );
}
