import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { client, unwrap } from "../../api/client";
import { areDatesMoved } from "../../api/dates";
import { type Item, useItem } from "../../api/items";
import type { components } from "../../api/schema";
import type { Params } from "../../shell/pages";
import { ItemChecks } from "../../shell/ItemChecks";
import { useMay } from "../../shell/me";
import { useShortcut } from "../../shell/shortcuts";
import { Badge, type Tone } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { EntryDialog, type EntryField, type Values } from "../../ui/EntryDialog";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty, Loading } from "../../ui/States";
import { Table } from "../../ui/Table";
import { day } from "../../ui/numbers";
import { capital } from "../../ui/words";
import { StripLegend, VisitStrip } from "./VisitStrip";
import styles from "./Visits.module.css";

type Row = components["schemas"]["VisitRow"];

const TONES: Record<string, Tone> = { overdue: "bad", due: "caution", planned: "quiet", done: "good", missed: "bad", "out of window": "caution" };
const STATUSES = [
  { value: "done", label: "done" },
  { value: "missed", label: "missed" },
  { value: "planned", label: "booked for this day" },
  { value: "cancelled", label: "cancelled" },
];

/** Every visit of a patient: what was done, what is owed, and why. */
export default function VisitsPage({ params }: { params: Params }) {
  const patientId = params.patientId ?? "";
  const may = useMay("visit.write");
  const mayEnterProtocol = useMay("study.write");
  const [asked, setAsked] = useState<{ itemId: string; initial: Values } | null>(null);
  const visits = useQuery({
    queryKey: ["visits", patientId],
    queryFn: () => unwrap(client.GET("/api/patient/{patient_id}/visits", { params: { path: { patient_id: patientId } } })),
  });
  const names = visits.data?.names ?? [];
  const enter = (name: string, number: number | null) => setAsked({ itemId: "", initial: { name, visit_number: number, status: "done", date: areDatesMoved() ? new Date().toISOString().slice(0, 10) : visits.data?.as_of } });
  useShortcut("n", "Enter a visit", () => {
    if (may && names[0]) enter(names[0].name, names[0].next_number);
  });
  const fields: EntryField[] = [
    { name: "name", label: "Visit", type: "choice", required: true, options: names.map((one) => ({ value: one.name, label: one.name })) },
    { name: "visit_number", label: "Number", type: "whole", required: true },
    { name: "status", label: "Status", type: "choice", required: true, options: STATUSES },
    { name: "date", label: "Day", type: "date", required: true },
  ];
  return (
    <Page
      title="Visits"
      ready={visits.data !== undefined}
      actions={
        may ? (
          <Button look="main" disabled={names.length === 0} onClick={() => names[0] && enter(names[0].name, names[0].next_number)}>
            Enter a visit
          </Button>
        ) : null
      }
    >
      <Answered asked={visits} what="the visits">
        {(found) =>
          "not_evaluable" in found.schedule ? (
            <Empty title="No visits can be derived" action={mayEnterProtocol ? <Link href="/trial">Enter the protocol version</Link> : null}>
              {capital(found.schedule.not_evaluable)}.{mayEnterProtocol ? "" : " A data manager enters the protocol version with its schedule."}
            </Empty>
          ) : (
            <>
              <Panel title="Two years at a glance">
                <VisitStrip rows={found.rows} asOf={found.as_of} />
                <StripLegend />
              </Panel>
              <Owed rows={found.rows} may={may} onEnter={enter} />
              <Panel title="Visits" flush>
                <Table
                  caption="Visits of the patient by day"
                  rows={found.rows}
                  rowKey={(row) => `${row.name} ${row.number} ${row.item_id}`}
                  columns={[
                    { name: "visit", title: "Visit", cell: (row) => <span className={styles.whole}>{`${row.name} ${row.number ?? "(unscheduled)"}`}</span> },
                    { name: "state", title: "State", cell: (row) => <Badge tone={TONES[row.state] ?? "quiet"}>{row.state}</Badge> },
                    { name: "due", title: "Planned day", cell: (row) => (row.due_first === row.due ? day(row.due_first) : row.due || "–") },
                    { name: "window", title: "Window", cell: (row) => (row.opens && row.closes ? `${day(row.opens)} to ${day(row.closes)}` : "–") },
                    { name: "on", title: "Done or booked", cell: (row) => (row.on ? day(row.on) : row.booked ? `booked ${day(row.booked)}` : "–") },
                    { name: "study", title: "Study day", number: true, cell: (row) => row.study_day ?? "–" },
                    { name: "reason", title: "Why", cell: (row) => <span className={styles.quiet}>{row.reason}</span> },
                    {
                      name: "act",
                      title: <span className="visually-hidden">What can be done</span>,
                      cell: (row) =>
                        row.item_id ? (
                          <>
                            {may && !row.locked ? (
                              <Button look="quiet" aria-label={`Change ${row.name} ${row.number}`} onClick={() => setAsked({ itemId: row.item_id, initial: {} })}>
                                Change
                              </Button>
                            ) : null}
                            <ItemChecks
                              item={{ kind: "visit", item_id: row.item_id, patient_id: patientId, version: row.version }}
                              title={`${row.name} ${row.number ?? "(unscheduled)"}`}
                              fields={fields}
                            />
                          </>
                        ) : null,
                    },
                  ]}
                />
              </Panel>
              {found.unplaced.length > 0 ? (
                <Panel title="Not in the schedule" flush>
                  <Table
                    caption="Visits with names that the schedule does not have"
                    rows={found.unplaced}
                    rowKey={(row) => row.item_id}
                    columns={[
                      { name: "name", title: "Visit", cell: (row) => `${String(row.values.name)} ${String(row.values.visit_number)}` },
                      { name: "date", title: "Day", cell: (row) => day(row.values.date as string | undefined) },
                      { name: "status", title: "Status", cell: (row) => String(row.values.status) },
                    ]}
                  />
                </Panel>
              ) : null}
            </>
          )
        }
      </Answered>
      {asked && asked.itemId === "" ? (
        <EntryDialog title="Enter a visit" kind="visit" noun="visit" patientId={patientId} fields={fields} initial={asked.initial} onClose={() => setAsked(null)} />
      ) : null}
      {asked && asked.itemId !== "" ? <ChangeVisit itemId={asked.itemId} fields={fields} onClose={() => setAsked(null)} /> : null}
    </Page>
  );
}

/** What has to be seen to now, before everything else. */
function Owed({ rows, may, onEnter }: { rows: readonly Row[]; may: boolean; onEnter: (name: string, number: number | null) => void }) {
  const owed = rows.filter((row) => row.state === "overdue" || row.state === "due");
  if (owed.length === 0) return null;
  return (
    <Panel title="To see to now">
      <ul className={styles.owed}>
        {owed.map((row) => (
          <li key={`${row.name} ${row.number}`}>
            <Badge tone={TONES[row.state] ?? "quiet"}>{row.state}</Badge>
            <span>
              {row.name} {row.number}
            </span>
            <span className={styles.quiet}>{row.reason}</span>
            {may ? (
              <Button aria-label={`Enter ${row.name} ${row.number}, ${row.state}`} onClick={() => onEnter(row.name, row.number ?? null)}>
                Enter
              </Button>
            ) : null}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function ChangeVisit({ itemId, fields, onClose }: { itemId: string; fields: EntryField[]; onClose: () => void }) {
  const held = useItem("visit", itemId);
  if (!held.data) return <Loading what="the visit" />;
  const item = held.data.item as Item;
  return (
    <EntryDialog title="Change a visit" kind="visit" noun="visit" patientId={item.patient_id} fields={fields} held={item} initial={item.values} onClose={onClose} />
  );
}
