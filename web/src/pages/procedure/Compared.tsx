import { Button } from "../../ui/Button";
import { Panel } from "../../ui/Panel";
import { Table } from "../../ui/Table";
import { quantity } from "../../ui/numbers";
import type { Asked } from "./ProcedurePage";
import styles from "./Procedure.module.css";
import type { DayDocument } from "./day";

interface Props {
  day: DayDocument;
  mayWrite: boolean;
  ask: (asked: Asked) => void;
}

/** Planned against performed by lesion, and deviations that ask for a reason. */
export function Compared({ day, mayWrite, ask }: Props) {
  const rows = day.lesions.filter((row) => row.planned_ml > 0 || (typeof row.given_ml === "number" && row.given_ml > 0));
  return (
    <>
      <Panel title="Planned and performed" flush>
        <Table
          caption="Planned and performed by lesion"
          rows={rows}
          rowKey={(row) => row.lesion_id}
          columns={[
            { name: "lesion", title: "Lesion", cell: (row) => row.lesion_id },
            { name: "planned", title: "Planned", number: true, cell: (row) => quantity(row.planned_ml - row.no_place_ml, "mL") },
            { name: "given", title: "Given", number: true, cell: (row) => quantity(row.given_ml, "mL") },
            { name: "leaked", title: "Leaked", number: true, cell: (row) => quantity(row.leaked_ml, "mL") },
            { name: "tip", title: "Tip off by", number: true, cell: (row) => quantity(row.tip_deviation_mm, "mm") },
            { name: "stop", title: "Stopped", cell: (row) => row.stop_reason.replaceAll("_", " ") || "–" },
          ]}
        />
      </Panel>
      {day.deviations.map((deviation) => (
        <div key={deviation.key} className={styles.deposit} data-deviation={deviation.key}>
          <div>
            {deviation.message}
            <div className={styles.why}>{deviation.reason ? `Reason: ${deviation.reason}` : "Asks for a reason before the day can be closed"}</div>
          </div>
          {mayWrite && !deviation.reason ? (
            <Button large onClick={() => ask({ kind: "deviation_reason", known: { deviation: deviation.key } })}>
              Give the reason
            </Button>
          ) : null}
        </div>
      ))}
    </>
  );
}
