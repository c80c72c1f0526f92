import { Badge, type Tone } from "../../ui/Badge";
import styles from "./PlanPage.module.css";
import type { Finding } from "./model";

const TONES: Record<Finding["severity"], Tone> = { error: "bad", warning: "caution", info: "quiet" };

/** Findings, worst first: what was measured, against which limit, from which source. */
export function FindingList({ findings, none }: { findings: Finding[]; none: string }) {
  if (findings.length === 0) return <p className={styles.quiet}>{none}</p>;
  return (
    <ul className={styles.findings} data-findings={findings.length}>
      {findings.map((one, number) => (
        <li key={`${one.rule}-${one.subject}-${number}`}>
          <Badge tone={TONES[one.severity]}>{one.severity}</Badge>
          <div>
            <p>
              {one.subject ? <strong>{one.subject}: </strong> : null}
              {one.message}
            </p>
            <p className={styles.quiet}>
              {[one.rule, one.source, one.status === "unverified" ? "unverified" : ""].filter(Boolean).join(" · ")}
            </p>
          </div>
        </li>
      ))}
    </ul>
  );
}
