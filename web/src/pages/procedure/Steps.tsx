import { Fragment } from "react";
import type { Asked } from "./ProcedurePage";
import styles from "./Procedure.module.css";
import type { DayDocument, Entry, EntryKind } from "./day";

interface Props {
  day: DayDocument;
  entries: readonly Entry[];
  kinds: ReadonlyMap<string, EntryKind>;
  mayWrite: boolean;
  ask: (asked: Asked) => void;
  onClose: () => void;
}

/** The way through the day, in the order in which it is usually gone. */
const ORDER = [
  "consent_check",
  "lab_check",
  "vial",
  "draw",
  "sedation_start",
  "time_out",
  "needle_in",
  "tip_check",
  "needle_out",
  "stop",
  "discard",
  "sedation_stop",
  "observation_start",
  "observation_end",
] as const;
/** Only while they are the thing to do: others would crowd the rail. */
const IN_PHASE_ONLY = new Set(["tip_check", "needle_out", "stop", "discard", "sedation_stop", "observation_start", "observation_end", "needle_in"]);

/** Large buttons for what may come now, with what is open beside them. */
export function Steps({ day, entries, kinds, mayWrite, ask, onClose }: Props) {
  const counts = new Map<string, number>();
  for (const entry of entries) counts.set(entry.kind, (counts.get(entry.kind) ?? 0) + 1);
  const states = new Map(day.next.map((entry) => [entry.kind, entry]));
  const first = ORDER.find((name) => states.get(name)?.allowed && !counts.get(name) && name !== "stop" && name !== "discard");
  const close = states.get("close");
  const allowed = ORDER.filter((name) => states.get(name)?.allowed);
  const behind = ORDER.filter((name) => !states.get(name)?.allowed && (counts.get(name) ?? 0) > 0);
  const ahead = day.phase === "preparation" ? ORDER.filter((name) => !states.get(name)?.allowed && !IN_PHASE_ONLY.has(name) && !counts.get(name)) : [];
  return (
    <Fragment>
      {[...allowed, ...ahead].map((name) => {
        const state = states.get(name);
        const count = counts.get(name) ?? 0;
        return (
          <button
            key={name}
            type="button"
            className={styles.step}
            disabled={!mayWrite}
            data-next={name === first}
            data-done={count > 0}
            onClick={() => ask({ kind: name })}
          >
            <span>
              {count > 0 ? "✓ " : ""}
              {kinds.get(name)?.label}
              {count > 1 ? ` · ${count}` : ""}
            </span>
            {state?.allowed ? null : <span className={styles.why}>{state?.reasons.join("; ")}</span>}
          </button>
        );
      })}
      {behind.map((name) => (
        <p key={name} className={styles.behind}>
          ✓ {kinds.get(name)?.label}
        </p>
      ))}
      {day.open_checks.length > 0 ? (
        <div className={styles.card}>
          <h2>Still open</h2>
          <ul>
            {day.open_checks.map((check) => (
              <li key={check.check} className={styles.why}>
                {check.text}
              </li>
            ))}
          </ul>
        </div>
      ) : null}
      {mayWrite && close ? (
        <button type="button" className={styles.step} data-next={close.allowed} onClick={onClose}>
          <span>Close the day</span>
          {close.allowed ? null : <span className={styles.why}>{close.reasons.join("; ")}</span>}
        </button>
      ) : null}
    </Fragment>
  );
}
