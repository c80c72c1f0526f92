import { useItems } from "../../api/items";
import { useMay } from "../../shell/me";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { Panel } from "../../ui/Panel";
import { Answered, Empty } from "../../ui/States";
import { Table } from "../../ui/Table";
import { day } from "../../ui/numbers";
import styles from "./Protocol.module.css";
import { StudyDialog } from "./StudyDialog";
import type { StudyValues } from "./study";

interface Props {
  /** Which one is in force. */
  studyId: string;
  today: string;
  entering: boolean;
  onEnter: () => void;
  onClose: () => void;
}

/** The protocol versions, the latest first, and the form for a new one. */
export function Protocol({ studyId, today, entering, onEnter, onClose }: Props) {
  const may = useMay("study.write");
  const studies = useItems<StudyValues>("study", { limit: 200 });
  const rows = [...(studies.data?.items ?? [])].sort((one, other) => other.values.valid_from_date.localeCompare(one.values.valid_from_date));
  return (
    <Panel
      title="Protocol versions"
      flush
      actions={
        may && rows.length > 0 ? (
          <Button onClick={onEnter}>Enter a new version</Button>
        ) : null
      }
    >
      <Answered asked={studies} what="the protocol versions">
        {() =>
          rows.length === 0 ? (
            <Empty
              title="No protocol version is entered"
              action={
                may ? (
                  <Button look="main" onClick={onEnter}>
                    Enter the protocol version
                  </Button>
                ) : null
              }
            >
              Visits, consents and the next dose follow from it.{may ? "" : " A data manager enters it."}
            </Empty>
          ) : (
            <Table
              caption="Protocol versions, the latest first"
              rows={rows}
              rowKey={(row) => row.item_id}
              columns={[
                { name: "version", title: "Version", cell: (row) => <span className={styles.whole}>{row.values.protocol_version}</span> },
                { name: "title", title: "Title", cell: (row) => row.values.title },
                { name: "from", title: "Valid from", cell: (row) => <span className={styles.whole}>{day(row.values.valid_from_date)}</span> },
                { name: "dose", title: "Dose protocol", cell: (row) => row.values.dose_protocol },
                { name: "schedule", title: "Visit schedule", cell: (row) => row.values.schedule ?? "–" },
                { name: "design", title: "Design", cell: (row) => String(row.values.escalation_design?.["design"] ?? "–") },
                {
                  name: "state",
                  title: "State",
                  cell: (row) =>
                    row.item_id === studyId ? <Badge tone="good">in force</Badge> : <Badge tone="quiet">{row.values.valid_from_date > today ? "to come" : "replaced"}</Badge>,
                },
              ]}
            />
          )
        }
      </Answered>
      {entering && studies.data ? <StudyDialog last={rows[0]} onClose={onClose} /> : null}
    </Panel>
  );
}
