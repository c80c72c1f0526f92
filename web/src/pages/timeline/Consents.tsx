import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { client, unwrap } from "../../api/client";
import { type Item, useItems } from "../../api/items";
import type { components } from "../../api/schema";
import { useMay } from "../../shell/me";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { Panel } from "../../ui/Panel";
import { Answered, Empty } from "../../ui/States";
import { Table } from "../../ui/Table";
import { day } from "../../ui/numbers";
import { ConsentDialog } from "./ConsentDialog";
import styles from "./Consents.module.css";
import { WithdrawDialog } from "./WithdrawDialog";
import { type ConsentValues, SCOPES } from "./scopes";

type Standing = components["schemas"]["ConsentAnswer"];

interface StudyValues {
  title: string;
  protocol_version: string;
  valid_from_date: string;
}

const PURPOSES: Record<string, string> = { treatment: "treatment", follow_up: "follow-up", data: "use of data" };

/** To what the patient consented, and what was withdrawn. */
export function Consents({ patientId }: { patientId: string }) {
  const may = useMay("consent.write");
  const consents = useItems<ConsentValues>("consent", { patient_id: patientId, limit: 200 });
  const studies = useItems<StudyValues>("study", { limit: 200 });
  const standing = useQuery({
    queryKey: ["consent", patientId],
    queryFn: () => unwrap(client.GET("/api/patient/{patient_id}/consent", { params: { path: { patient_id: patientId } } })),
  });
  const [entering, setEntering] = useState(false);
  const [ending, setEnding] = useState<Item<ConsentValues> | null>(null);
  const rows = [...(consents.data?.items ?? [])].sort((one, other) => other.values.signed_date.localeCompare(one.values.signed_date));
  const versions = [...(studies.data?.items ?? [])].sort((one, other) => other.values.valid_from_date.localeCompare(one.values.valid_from_date));
  const names = new Map(versions.map((one) => [one.item_id, `${one.values.title}, version ${one.values.protocol_version}`]));
  const mayEnter = may && versions.length > 0;
  return (
    <Panel title="Consent" flush actions={mayEnter ? <Button onClick={() => setEntering(true)}>Enter a consent</Button> : null}>
      <Answered asked={consents} what="the consents">
        {() => (
          <>
            {standing.data ? <Stand standing={standing.data} none={rows.length === 0} /> : null}
            {rows.length === 0 ? (
              studies.data && versions.length === 0 ? (
                <Empty title="There is nothing to consent to yet">A data manager enters the protocol version on the trial page; a consent names it.</Empty>
              ) : (
                <Empty title="No consent yet">{may ? "Enter the one that the patient signed." : "A coordinator or an investigator enters it."}</Empty>
              )
            ) : (
              <Table
                caption="Consents, the latest first"
                rows={rows}
                rowKey={(row) => row.item_id}
                columns={[
                  { name: "signed", title: "Signed", cell: (row) => <span className={styles.whole}>{day(row.values.signed_date)}</span> },
                  { name: "form", title: "Form", cell: (row) => row.values.form_version },
                  { name: "study", title: "Protocol version", cell: (row) => names.get(row.values.study_id) ?? "–" },
                  { name: "state", title: "State", cell: (row) => <State consent={row.values} /> },
                  ...(may
                    ? [
                        {
                          name: "act",
                          title: <span className="visually-hidden">What can be done</span>,
                          cell: (row: Item<ConsentValues>) =>
                            row.locked || row.values.withdrawal_scope === SCOPES.at(-1)?.value ? null : (
                              <Button look="quiet" aria-label={`Withdraw the consent of ${day(row.values.signed_date)}`} onClick={() => setEnding(row)}>
                                {row.values.withdrawn_date ? "Withdraw more" : "Withdraw"}
                              </Button>
                            ),
                        },
                      ]
                    : []),
                ]}
              />
            )}
          </>
        )}
      </Answered>
      {entering ? (
        <ConsentDialog patientId={patientId} versions={versions.map((one) => ({ value: one.item_id, label: names.get(one.item_id) ?? "", from: one.values.valid_from_date }))} onClose={() => setEntering(false)} />
      ) : null}
      {ending ? <WithdrawDialog consent={ending} stops={standing.data?.stops ?? {}} onClose={() => setEnding(null)} /> : null}
    </Panel>
  );
}

/** How it stands, in one line. */
function Stand({ standing, none }: { standing: Standing; none: boolean }) {
  const stopped = Object.entries(standing.stopped);
  if (none) return null;
  return (
    <p className={styles.stand} data-consent={standing.holds}>
      {standing.holds ? <Badge tone="good">may be treated</Badge> : <Badge tone="bad">no treatment</Badge>}
      <span>
        {stopped.length === 0
          ? "Covers treatment, follow-up and the use of the data."
          : `Stopped: ${stopped.map(([purpose, on]) => `${PURPOSES[purpose] ?? purpose} since ${day(on)}`).join(", ")}.`}
      </span>
    </p>
  );
}

function State({ consent }: { consent: ConsentValues }) {
  if (!consent.withdrawn_date) return <Badge tone="good">signed</Badge>;
  const scope = SCOPES.find((one) => one.value === consent.withdrawal_scope);
  return (
    <span className={styles.state}>
      <Badge tone="caution">withdrawn</Badge>
      <span>
        {day(consent.withdrawn_date)}: {scope?.label ?? "–"}
      </span>
    </span>
  );
}
