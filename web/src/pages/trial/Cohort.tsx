import { Link } from "wouter";
import { useItems } from "../../api/items";
import { Badge } from "../../ui/Badge";
import { Panel } from "../../ui/Panel";
import { Table } from "../../ui/Table";
import { day, quantity } from "../../ui/numbers";
import styles from "./Trial.module.css";
import type { Population, Standing } from "./questions";

type Plan = NonNullable<Standing["plan"]>;

/** The cohort that is being filled: who took a slot, which are free and from when, whose window is open until when. */
export function Cohort({ population, plan }: { population: Population; plan: Plan }) {
  const { slots } = population;
  const sites = useItems<{ name: string }>("site", { limit: 500 });
  const names = new Map(sites.data?.items.map((one) => [one.item_id, one.values.name]));
  const boxes = [
    ...Array.from({ length: Math.min(slots.taken, slots.size) }, () => "taken" as const),
    ...Array.from({ length: Math.min(slots.assigned, Math.max(0, slots.size - slots.taken)) }, () => "assigned" as const),
    ...Array.from({ length: slots.free }, () => "free" as const),
  ];
  return (
    <Panel title={slots.dose === null ? "Current cohort" : `Current cohort, level ${slots.dose}`} flush>
      <div className={styles.cohort}>
        <ul className={styles.slots} aria-label={`Slots: ${slots.taken} taken, ${slots.assigned} assigned, ${slots.free} free`} data-free={slots.free} data-taken={slots.taken}>
          {boxes.map((kind, place) => (
            <li key={`${kind}${place}`} className={styles.slot} data-kind={kind}>
              {kind}
            </li>
          ))}
        </ul>
        <p>
          {slots.taken} of {plan.cohort_size} taken, {slots.assigned} assigned and not injected yet, {slots.free} free
          {slots.days === null
            ? "."
            : slots.days === 0
              ? ", now."
              : `; next in ${slots.days} days${slots.earliest_date ? `, on ${day(slots.earliest_date)}` : ""}.`}
        </p>
        <p className={styles.quiet}>{slots.why}</p>
      </div>
      {population.open.length > 0 ? (
        <Table
          caption="Patients whose DLT window is open"
          rows={population.open}
          rowKey={(row) => row.patient_id}
          columns={[
            { name: "subject", title: "Window open", cell: (row) => <Link href={`/patient/${row.patient_id}`}>{row.subject_id}</Link> },
            { name: "site", title: "Site", cell: (row) => names.get(row.site_id) ?? row.site_id },
            { name: "level", title: "Level", number: true, cell: (row) => row.level },
            { name: "ends", title: "Last day", cell: (row) => <span className={styles.whole}>{day(row.closes_on)}</span> },
            { name: "left", title: "Left", number: true, cell: (row) => quantity(row.days_left, "days") },
            { name: "state", title: "State", cell: (row) => <Badge tone={row.state === "undecided" ? "caution" : "quiet"}>{row.state}</Badge> },
          ]}
        />
      ) : (
        <p className={styles.cohort}>No patient of your sites has an open DLT window.</p>
      )}
      {population.open_elsewhere > 0 ? <p className={styles.cohort}>{population.open_elsewhere} more at other sites.</p> : null}
    </Panel>
  );
}
