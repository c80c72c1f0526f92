import { Badge, type Tone } from "../../ui/Badge";
import { Panel } from "../../ui/Panel";
import { day, power, quantity } from "../../ui/numbers";
import styles from "./Trial.module.css";
import type { Population, Standing } from "./questions";

type Plan = NonNullable<Standing["plan"]>;

const ACTIONS: Record<string, { words: string; tone: Tone }> = {
  escalate: { words: "escalate", tone: "good" },
  stay: { words: "stay", tone: "quiet" },
  "de-escalate": { words: "de-escalate", tone: "caution" },
  stop: { words: "stop", tone: "bad" },
};

/** The advice of the design, in its own words, with what holds it up. */
export function NextDose({ population, plan, definition }: { population: Population; plan: Plan; definition: Standing["definition"] }) {
  const { advice } = population;
  const dose = advice.recommended_dose;
  const level = plan.levels.find((one) => one.level === dose);
  const action = ACTIONS[advice.action] ?? { words: advice.action, tone: "quiet" as const };
  const unverified = definition.evidence.filter((one) => one.unverified);
  return (
    <Panel title="Next dose" actions={<Badge tone={action.tone}>{action.words}</Badge>}>
      <div className={styles.stack}>
        <p className={styles.dose} data-next-dose={dose ?? "none"}>
          {dose === null ? "No dose" : `Level ${dose}`}
          {level ? (
            <span className={styles.amount}>
              {power(level.concentration_pfu_per_ml, "PFU/mL")}, up to {quantity(level.volume_ceiling_ml, "mL", 1)} a visit ({power(level.ceiling_pfu, "PFU")})
            </span>
          ) : null}
        </p>
        <p data-reason>{advice.reason}</p>
        {advice.hold ? (
          <p className={styles.hold} data-hold>
            <strong>Hold.</strong> {advice.hold.why}. {advice.hold.pending} {advice.hold.pending === 1 ? "window" : "windows"} open
            {advice.hold.days === null ? "." : `; the earliest decision in ${advice.hold.days} days`}
            {advice.hold.earliest_date ? `, on ${day(advice.hold.earliest_date)}.` : advice.hold.days === null ? "" : "."}
          </p>
        ) : null}
        {advice.continue ? null : <p className={styles.hold}>The design stops the trial.</p>}
        {advice.backfill_doses?.length ? <p>Open for further patients: level {advice.backfill_doses.join(", ")}.</p> : null}
        <p className={styles.quiet}>
          {plan.design.toUpperCase()}
          {plan.target_fraction === null ? "" : `, target DLT rate ${quantity(plan.target_fraction * 100, "%", 0)}`}, cohorts of {plan.cohort_size}
          {plan.rules.length > 0 ? `; rules: ${plan.rules.map((pair) => pair.join(" ")).join(", ")}` : ""}. DLT: {definition.criteria.join("; ")}, window{" "}
          {quantity(definition.window_days, "days")}.
        </p>
        <details className={styles.details}>
          <summary>
            Where this comes from{unverified.length > 0 ? <> · {unverified.length} <em>unverified</em></> : null}
          </summary>
          <p className={styles.quiet}>{definition.title}</p>
          <ul className={styles.evidence}>
            {definition.evidence.map((one) => (
              <li key={one.key}>
                <span>
                  {one.key}: {String(one.value)} {one.unit}
                </span>
                <span className={styles.quiet}>
                  {one.source} {one.unverified ? <Badge tone="caution">unverified</Badge> : <Badge tone="quiet">{one.status}</Badge>}
                </span>
              </li>
            ))}
          </ul>
          <p className={styles.quiet}>The same answer at the command line, from the counted outcomes in the order of treatment (N none, T DLT, P pending):</p>
          <code className={styles.command} data-command>
            {population.command}
          </code>
        </details>
      </div>
    </Panel>
  );
}
