import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { client, unwrap } from "../../api/client";
import { type Item, useChange } from "../../api/items";
import type { components } from "../../api/schema";
import type { Params } from "../../shell/pages";
import { ItemChecks } from "../../shell/ItemChecks";
import { useMay } from "../../shell/me";
import { useShortcut } from "../../shell/shortcuts";
import { Badge, type Tone } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { ReasonDialog } from "../../ui/Dialog";
import { Facts } from "../../ui/Facts";
import { useNotice } from "../../ui/Notices";
import { Columns, Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty } from "../../ui/States";
import { Table } from "../../ui/Table";
import { day, instant, quantity } from "../../ui/numbers";
import { EventDialog, FIELD_NAMES } from "./EventDialog";
import styles from "./Events.module.css";

type Row = components["schemas"]["EventRow"];
type Answer = components["schemas"]["EventsAnswer"];
type Clock = components["schemas"]["ClockAnswer"];

const CLOCK_TONES: Record<string, Tone> = { open: "caution", late: "bad", "reported late": "caution", "in time": "good", "cannot be told": "bad" };
const DLT_WORDS: Record<string, string> = { dlt: "dose-limiting toxicity", "no dlt": "none" };
const DLT_TONES: Record<string, Tone> = { dlt: "bad", undecided: "caution", pending: "caution", no: "quiet", "no dlt": "good" };

/** Adverse events with their grades, causes, and what they mean for the dose. */
export default function EventsPage({ params }: { params: Params }) {
  const patientId = params.patientId ?? "";
  const may = useMay("adverse_event.write");
  const [asked, setAsked] = useState<Item | "new" | null>(null);
  const [removed, setRemoved] = useState<Row | null>(null);
  const change = useChange();
  const say = useNotice();
  const events = useQuery({
    queryKey: ["events", patientId],
    queryFn: () => unwrap(client.GET("/api/patient/{patient_id}/events", { params: { path: { patient_id: patientId } } })),
  });
  useShortcut("n", "Enter an adverse event", () => {
    if (may) setAsked("new");
  });
  const serious = events.data?.rows.filter((row) => row.clock) ?? [];
  return (
    <Page
      title="Adverse events"
      ready={events.data !== undefined}
      actions={
        may ? (
          <Button look="main" onClick={() => setAsked("new")}>
            Enter an event
          </Button>
        ) : null
      }
    >
      <Answered asked={events} what="the adverse events">
        {(found) => (
          <>
            <Columns>
              <Panel title="Dose-limiting toxicity">
                <Window answer={found} />
              </Panel>
              <Panel title="Serious, to be reported">
                {serious.length === 0 ? <p className={styles.quiet}>No serious event.</p> : null}
                {serious.map((row) => (
                  <SeriousClock key={row.item.item_id} row={row} clock={row.clock as Clock} may={may} />
                ))}
              </Panel>
            </Columns>
            <Panel title="Events" flush>
              {found.rows.length === 0 ? (
                <Empty title="No adverse event">None was entered of this patient.</Empty>
              ) : (
                <Table
                  caption="Adverse events, the latest first"
                  rows={found.rows}
                  rowKey={(row) => row.item.item_id}
                  columns={[
                    {
                      name: "term",
                      title: "Term",
                      cell: (row) => (
                        <span className={styles.term}>
                          {text(row, "term")} {row.item.values.serious ? <Badge tone="bad">serious</Badge> : null}
                        </span>
                      ),
                    },
                    {
                      name: "grade",
                      title: "Grade",
                      number: true,
                      cell: (row) => (
                        <span title={row.grade_findings.join(" ") || (row.grade_checked ? "The term has this grade" : "Not in the table of terms")}>
                          {text(row, "grade")}
                          {row.grade_findings.length > 0 ? <Badge tone="caution">check</Badge> : null}
                        </span>
                      ),
                    },
                    {
                      name: "days",
                      title: "From, to",
                      cell: (row) => (
                        <span className={styles.days}>
                          <span>{day(row.item.values.start_date as string)}</span>
                          <span className={styles.quiet}>{row.item.values.end_date ? `to ${day(row.item.values.end_date as string)}` : "goes on"}</span>
                        </span>
                      ),
                    },
                    { name: "agent", title: "To the agent", cell: (row) => text(row, "relation_to_agent").toLowerCase() },
                    { name: "procedure", title: "To the procedure", cell: (row) => text(row, "relation_to_procedure").toLowerCase() },
                    { name: "dlt", title: "Dose-limiting", cell: (row) => <Dlt row={row} /> },
                    {
                      name: "act",
                      title: <span className="visually-hidden">What can be done</span>,
                      cell: (row) => (
                        <>
                          {may && !row.item.locked ? (
                            <span className={styles.acts}>
                              <Button look="quiet" aria-label={`Change ${text(row, "term")} of ${text(row, "start_date")}`} onClick={() => setAsked(row.item as Item)}>
                                Change
                              </Button>
                              <Button look="quiet" aria-label={`Remove ${text(row, "term")} of ${text(row, "start_date")}`} onClick={() => setRemoved(row)}>
                                Remove
                              </Button>
                            </span>
                          ) : null}
                          <ItemChecks item={row.item} title={`${text(row, "term")} of ${day(row.item.values.start_date as string)}`} fields={FIELD_NAMES} />
                        </>
                      ),
                    },
                  ]}
                />
              )}
            </Panel>
          </>
        )}
      </Answered>
      {asked ? (
        <EventDialog patientId={patientId} {...(asked === "new" ? {} : { held: asked })} onClose={() => setAsked(null)} />
      ) : null}
      {removed ? (
        <ReasonDialog
          title="Remove an adverse event"
          action="Remove"
          danger
          onClose={() => setRemoved(null)}
          onDone={async (reason) => {
            await change.mutateAsync({
              method: "POST",
              path: `/api/adverse_event/${removed.item.item_id}/removal`,
              etag: `"${removed.item.version}"`,
              body: { reason },
            });
            say("The adverse event was removed; the trail keeps it");
          }}
        >
          <p>
            {text(removed, "term")}, grade {text(removed, "grade")}, from {day(removed.item.values.start_date as string)}.
          </p>
        </ReasonDialog>
      ) : null}
    </Page>
  );
}

function text(row: Row, field: string): string {
  const value = row.item.values[field];
  return value === null || value === undefined ? "–" : String(value);
}

function Dlt({ row }: { row: Row }) {
  if ("not_evaluable" in row.dlt) return <span className={styles.quiet}>n/e: {row.dlt.not_evaluable}</span>;
  return (
    <span className={styles.stack}>
      <Badge tone={DLT_TONES[row.dlt.state] ?? "quiet"}>{row.dlt.state === "dlt" ? "dose-limiting" : row.dlt.state}</Badge>
      <span className={styles.quiet}>
        {row.dlt.reason}
        {row.dlt.decides_on ? `; decides on ${day(row.dlt.decides_on)}` : ""}
      </span>
    </span>
  );
}

function Window({ answer }: { answer: Answer }) {
  const { window } = answer;
  if ("not_evaluable" in window) return <p className={styles.quiet}>n/e: {window.not_evaluable}</p>;
  const stands = window.patient;
  return (
    <Facts
      rows={[
        [
          "This patient",
          "not_evaluable" in stands ? (
            `n/e: ${stands.not_evaluable}`
          ) : (
            <>
              <Badge tone={DLT_TONES[stands.state] ?? "quiet"}>{DLT_WORDS[stands.state] ?? stands.state}</Badge> {stands.reason}
            </>
          ),
        ],
        ["Window", window.opens && window.closes ? `${day(window.opens)} to ${day(window.closes)} (${quantity(window.window_days, "days")})` : quantity(window.window_days, "days")],
        ["Counts", `${window.criteria.join("; ").replaceAll(">=", "≥")}; related to ${window.attribution}`],
        ["Definition", window.title],
      ]}
    />
  );
}

/** How much time is left to report; the number is the server's, of the moment it answered. */
function SeriousClock({ row, clock, may }: { row: Row; clock: Clock; may: boolean }) {
  const change = useChange();
  const say = useNotice();
  const open = clock.state === "open" || clock.state === "late";
  return (
    <div className={styles.clock} data-clock={clock.state}>
      <span className={styles.stack}>
        <strong>{text(row, "term")}</strong>
        <span className={styles.quiet}>
          {clock.reason || `due ${instant(clock.due)} of ${quantity(clock.limit_h, "h", 0)} allowed`}
        </span>
      </span>
      <Badge tone={CLOCK_TONES[clock.state] ?? "quiet"}>
        {clock.state}
        {open && clock.left_h !== null && clock.left_h !== undefined
          ? clock.left_h >= 0
            ? `: ${quantity(clock.left_h, "h")} left`
            : `: ${quantity(-clock.left_h, "h")} over`
          : ""}
      </Badge>
      {open && may && !row.item.locked ? (
        <Button
          busy={change.isPending}
          onClick={() =>
            void change
              .mutateAsync({
                method: "POST",
                path: `/api/adverse_event/${row.item.item_id}/report`,
                etag: `"${row.item.version}"`,
                body: { reported_time: new Date().toISOString() },
              })
              .then(() => say("The report was noted"))
              .catch(() => say("The report was not noted: read the page again"))
          }
        >
          Reported now
        </Button>
      ) : null}
    </div>
  );
}
