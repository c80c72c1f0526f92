import { Table } from "../../ui/Table";
import { Scrollable } from "../../ui/Scrollable";
import styles from "./Trial.module.css";
import type { Outcomes } from "./questions";

type ReportTableAnswer = Outcomes["tables"][number];

/** A table as the report prints it. */
export function ReportTable({ table }: { table: ReportTableAnswer }) {
  if (table.absent) return <p className={styles.quiet}>{`${table.title}: ${table.absent}.`}</p>;
  return (
    <div className={styles.report}>
      <h3>{table.title}</h3>
      <Scrollable label={table.title} className={styles.wide}>
        <Table
          caption={table.title}
          rows={table.rows.map((row, place) => ({ ...row, place }))}
          rowKey={(row) => String(row.place)}
          columns={[
            {
              name: "label",
              title: table.stub,
              cell: (row) => (row.level > 0 ? <span className={styles.deeper}>{row.label}</span> : <strong>{row.label}</strong>),
            },
            ...table.columns.map((title, place) => ({
              name: `${place}`,
              title,
              number: true,
              cell: (row: { cells: string[] }) => row.cells[place] ?? "",
            })),
          ]}
        />
      </Scrollable>
      <p className={styles.quiet}>
        {table.population}. {table.denominator} {table.notes.join(" ")}
      </p>
    </div>
  );
}
