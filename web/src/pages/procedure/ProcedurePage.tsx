import { useState } from "react";
import { useMay } from "../../shell/me";
import { useShortcut } from "../../shell/shortcuts";
import { Scrollable } from "../../ui/Scrollable";
import { Answered, Loading } from "../../ui/States";
import { quantity } from "../../ui/numbers";
import { CloseDay } from "./CloseDay";
import { Deposits } from "./Deposits";
import { EntryForm } from "./EntryForm";
import { Log } from "./Log";
import styles from "./Procedure.module.css";
import { Steps } from "./Steps";
import { Compared } from "./Compared";
import { type Day, type Entry, type EntryKind, useDay, useEntryKinds, useOutbox, usePlanDocument } from "./day";
import { listChoices, suggestValues } from "./suggest";

export interface Asked {
  kind: string;
  known?: Record<string, unknown>;
  corrects?: Entry;
}

const PHASES: Record<string, string> = {
  preparation: "Before the time-out",
  ready: "After the time-out, no needle in",
  needle_in: "A needle is in",
  observation: "Under observation",
  closed: "Closed",
  cancelled: "Cancelled",
};

/** At any time, whatever the phase. */
const ALWAYS = ["vital_signs", "complication", "note"] as const;

/** The day at the table: what comes next, what was given, what is open. */
export default function ProcedurePage({ params }: { params: Record<string, string> }) {
  const procedureId = params["procedureId"] ?? "";
  const day = useDay(procedureId);
  const kinds = useEntryKinds();
  if (kinds.data === undefined && !kinds.error) return <Loading what="the day" />;
  return (
    <Answered asked={kinds} what="the day">
      {(table) => (
        <Answered asked={day} what="the day">
          {(found) => <Table found={found} procedureId={procedureId} kinds={new Map(table.map((kind) => [kind.kind, kind]))} lost={day.isError} />}
        </Answered>
      )}
    </Answered>
  );
}

interface Props {
  found: Day;
  procedureId: string;
  kinds: ReadonlyMap<string, EntryKind>;
  lost: boolean;
}

function Table({ found, procedureId, kinds, lost }: Props) {
  const { day, entries } = found;
  const plan = usePlanDocument(found.item.values.plan_id);
  const { outbox, waiting } = useOutbox(procedureId);
  const [asked, setAsked] = useState<Asked | null>(null);
  const [closing, setClosing] = useState(false);
  const mayWrite = useMay("procedure.write") && day.phase !== "closed" && day.phase !== "cancelled";
  const left = waiting.filter((one) => one.refusal === "").length;
  const kind = asked ? kinds.get(asked.kind) : undefined;
  const ask = (next: Asked) => setAsked(next);
  const enter = (entry: Entry) => {
    setAsked(null);
    void outbox.add(entry);
  };
  useShortcut("v", "Vital signs", () => mayWrite && ask({ kind: "vital_signs" }));
  useShortcut("n", "Note", () => mayWrite && ask({ kind: "note" }));

  return (
    <div className={styles.page} data-ready={plan.data !== undefined || plan.isError} data-phase={day.phase}>
      <div className={styles.top}>
        <h1 className="visually-hidden">Procedure day, visit {day.visit}</h1>
        <span className={styles.phase}>{PHASES[day.phase] ?? day.phase}</span>
        <span className={styles.total} data-total>
          Given {quantity(day.totals.given_ml, "mL")} of {quantity(day.totals.planned_ml, "mL")}
        </span>
        <span>
          {day.agent} · visit {day.visit} · drawn {quantity(day.totals.drawn_ml, "mL")}
        </span>
        <span className={styles.sync} role="status" data-waiting={left > 0 || lost}>
          {left > 0 ? `${left} ${left === 1 ? "entry waits" : "entries wait"} for the connection` : lost ? "Connection lost; entries are kept here" : "All entries are saved"}
        </span>
      </div>
      <Scrollable label="Steps" className={styles.rail}>
        <Steps day={day} entries={entries} kinds={kinds} ask={ask} mayWrite={mayWrite} onClose={() => setClosing(true)} />
      </Scrollable>
      <Scrollable label="Deposits and comparison" className={styles.middle}>
        {day.findings
          .filter((finding) => finding.severity !== "info")
          .map((finding, index) => (
            <p key={`${finding.rule}-${finding.subject}-${index}`} className={styles.warning} data-severity={finding.severity}>
              {finding.message}
              {finding.status === "unverified" ? " (limit unverified)" : ""}
            </p>
          ))}
        <Deposits day={day} entries={entries} waiting={waiting} ask={ask} enter={enter} mayWrite={mayWrite} />
        <Compared day={day} ask={ask} mayWrite={mayWrite} />
      </Scrollable>
      <Scrollable label="Entered" className={styles.log}>
        <Log entries={entries} waiting={waiting} kinds={kinds} mayWrite={mayWrite} ask={ask} drop={(id) => outbox.drop(id)} />
      </Scrollable>
      <div className={styles.foot}>
        {mayWrite
          ? ALWAYS.map((name) => (
              <button key={name} type="button" className={styles.step} style={{ width: "auto" }} onClick={() => ask({ kind: name })}>
                {kinds.get(name)?.label}
              </button>
            ))
          : null}
      </div>
      {asked && kind ? (
        <EntryForm
          kind={kind}
          known={asked.known ?? suggestValues(asked.kind, day, entries, plan.data)}
          choices={listChoices(day, plan.data)}
          {...(asked.corrects ? { corrects: asked.corrects } : {})}
          onClose={() => setAsked(null)}
          onEnter={enter}
        />
      ) : null}
      {closing ? <CloseDay found={found} procedureId={procedureId} waiting={left} onDone={() => setClosing(false)} /> : null}
    </div>
  );
}
