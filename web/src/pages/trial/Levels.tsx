import { Link } from "wouter";
import { Badge } from "../../ui/Badge";
import { Panel } from "../../ui/Panel";
import { Table } from "../../ui/Table";
import { percent, power, quantity } from "../../ui/numbers";
import styles from "./Trial.module.css";
import type { Population, Standing } from "./questions";

type Plan = NonNullable<Standing["plan"]>;

const BAR = 90;

/** Patients and toxicities by level, as the design counts them. */
export function Levels({
  population,
  plan,
  elsewhere,
  uncounted,
}: {
  population: Population;
  plan: Plan;
  elsewhere: number;
  uncounted: Standing["uncounted"];
}) {
  return (
    <Panel title="By dose level" flush>
      <Table
        caption="Patients and dose-limiting toxicities by dose level"
        rows={population.levels}
        rowKey={(row) => String(row.level)}
        isChosen={(row) => row.level === population.advice.recommended_dose}
        columns={[
          { name: "level", title: "Level", number: true, cell: (row) => <span data-level={row.level}>{row.level}</span> },
          {
            name: "dose",
            title: "Dose",
            cell: (row) => {
              const level = plan.levels[row.level - 1];
              return level ? (
                <span className={styles.dosage}>
                  {power(level.concentration_pfu_per_ml, "PFU/mL")}, {quantity(level.volume_ceiling_ml, "mL", 1)}
                </span>
              ) : (
                "–"
              );
            },
          },
          { name: "injected", title: "Injected", number: true, cell: (row) => row.injected },
          { name: "evaluable", title: "Evaluable", number: true, cell: (row) => row.evaluable },
          { name: "dlts", title: "DLT", number: true, cell: (row) => <strong data-dlts>{row.dlts}</strong> },
          {
            name: "pending",
            title: "Window open",
            number: true,
            cell: (row) => (row.undecided > 0 ? `${row.pending + row.undecided} (${row.undecided} undecided)` : row.pending),
          },
          { name: "out", title: "Not evaluable", number: true, cell: (row) => row.not_evaluable },
          { name: "waiting", title: "Assigned", number: true, cell: (row) => row.waiting },
          { name: "rate", title: "Estimated DLT rate", cell: (row) => <RateBar value={row.prob_tox} target={plan.target_fraction} /> },
          {
            name: "open",
            title: "Admissible",
            cell: (row) => <Badge tone={row.admissible ? "quiet" : "bad"}>{row.admissible ? "yes" : "no"}</Badge>,
          },
        ]}
      />
      <div className={styles.foot}>
        <p className={styles.quiet}>
          Evaluable: the outcome is known. Estimated rate: the design’s own, with the target as a line. Counts are of all sites, as a dose is decided on all patients{elsewhere > 0 ? `; ${elsewhere} of them are not of your sites and are not named` : ""}.
        </p>
        {population.dlts.length > 0 ? (
          <p className={styles.quiet}>
            DLT:{" "}
            {population.dlts.map((one, place) => (
              <span key={one.patient_id}>
                {place > 0 ? "; " : ""}
                <Link href={`/patient/${one.patient_id}`}>{one.subject_id}</Link> (level {one.level}) {one.reason}
              </span>
            ))}
            .
          </p>
        ) : null}
        {uncounted.length > 0 ? (
          <p className={styles.hold}>
            Not counted by the design: {uncounted.map((one) => `${one.subject_id ? `${one.subject_id}: ` : ""}${one.reason}`).join("; ")}.
          </p>
        ) : null}
        {population.table ? <Decisions table={population.table} /> : null}
      </div>
    </Panel>
  );
}

function RateBar({ value, target }: { value: number | null; target: number | null }) {
  if (value === null) return <span className={styles.quiet}>no patient yet</span>;
  return (
    <span className={styles.rate}>
      <svg width={BAR} height={12} aria-hidden="true">
        <rect width={BAR} height={8} y={2} className={styles.track} />
        <rect width={Math.max(1, BAR * value)} height={8} y={2} className={styles.value} />
        {target === null ? null : <line x1={BAR * target} x2={BAR * target} y1={0} y2={12} className={styles.target} />}
      </svg>
      {percent(value, 1)}
    </span>
  );
}

function Decisions({ table }: { table: NonNullable<Population["table"]> }) {
  const names = Object.entries(table.columns);
  return (
    <details className={styles.details}>
      <summary>Decisions of the design at the current level</summary>
      <Table
        caption={table.title}
        rows={table.rows}
        rowKey={(row) => String(row["n"])}
        columns={names.map(([name, title]) => ({
          name,
          title: title.replace("<=", "≤").replace(">=", "≥"),
          number: true,
          cell: (row: Record<string, number | null>) => row[name] ?? "–",
        }))}
      />
      {table.notes.map((note) => (
        <p key={note} className={styles.quiet}>
          {note}
        </p>
      ))}
    </details>
  );
}
