import { useState } from "react";
import { Link } from "wouter";
import { type Item, useChange, useItems } from "../../api/items";
import { useMay } from "../../shell/me";
import { Badge, type Tone } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { ReasonDialog } from "../../ui/Dialog";
import { useNotice } from "../../ui/Notices";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty } from "../../ui/States";
import { Table } from "../../ui/Table";
import { AskedBefore } from "./AskedBefore";

interface QueryValues {
  about_kind: string;
  about_item_id: string;
  about_field?: string | null;
  question: string;
  answer?: string | null;
  state: "open" | "answered" | "closed";
}

const STATES = ["open", "answered", "closed"] as const;
const TONES: Record<QueryValues["state"], Tone> = { open: "caution", answered: "good", closed: "quiet" };

type Step = "answer" | "closing" | "reopening";
/** Where the entries of a kind are shown; others stand on the timeline. */
const PARTS: Record<string, string> = { adverse_event: "/events", laboratory: "/labs", visit: "/visits" };
const STEPS: Record<Step, { title: string; action: string; field: "answer" | "reason"; optional: boolean; done: string }> = {
  answer: { title: "Answer the query", action: "Answer", field: "answer", optional: false, done: "The query was answered" },
  closing: { title: "Close the query", action: "Close", field: "reason", optional: true, done: "The query was closed" },
  reopening: { title: "Ask again", action: "Ask again", field: "reason", optional: false, done: "The query is open again" },
};

/** Questions about what was entered: answered by the site, closed by who asked. */
export default function QueriesPage() {
  const [state, setState] = useState<QueryValues["state"]>("open");
  const queries = useItems<QueryValues>("query", { state, limit: 200 });
  const patients = useItems<{ subject_id: string }>("patient", { limit: 500 });
  const subjects = new Map(patients.data?.items.map((one) => [one.item_id, one.values.subject_id]));
  const may: Record<Step, boolean> = {
    answer: useMay("query.answer"),
    closing: useMay("query.close"),
    reopening: useMay("query.open"),
  };
  const [asked, setAsked] = useState<{ step: Step; query: Item<QueryValues> } | null>(null);
  const change = useChange();
  const say = useNotice();

  function listSteps(query: Item<QueryValues>): Step[] {
    const steps: Step[] = query.values.state === "closed" ? ["reopening"] : query.values.state === "open" ? ["answer", "closing"] : ["closing", "reopening"];
    return steps.filter((step) => may[step]);
  }

  return (
    <Page
      title="Queries"
      ready={queries.data !== undefined}
      actions={STATES.map((one) => (
        <Button key={one} pressed={one === state} onClick={() => setState(one)}>
          {one[0]?.toUpperCase() + one.slice(1)}
        </Button>
      ))}
    >
      <Panel flush>
        <Answered asked={queries} what="queries">
          {(found) =>
            found.items.length === 0 ? (
              <Empty title={`No ${state} query`}>Queries are asked beside the field they are about.</Empty>
            ) : (
              <Table
                caption={`Queries that are ${state}`}
                rows={found.items}
                rowKey={(row) => row.item_id}
                columns={[
                  {
                    name: "patient",
                    title: "Patient",
                    cell: (row) => <Link href={`/patient/${row.patient_id}`}>{subjects.get(row.patient_id) ?? row.patient_id}</Link>,
                  },
                  {
                    name: "about",
                    title: "About",
                    cell: (row) => (
                      <Link href={`/patient/${row.patient_id}${PARTS[row.values.about_kind] ?? ""}`}>
                        {[row.values.about_kind, row.values.about_field].filter(Boolean).join(", ").replaceAll("_", " ")}
                      </Link>
                    ),
                  },
                  { name: "question", title: "Question", cell: (row) => row.values.question },
                  { name: "answer", title: "Answer", cell: (row) => row.values.answer ?? "–" },
                  { name: "state", title: "State", cell: (row) => <Badge tone={TONES[row.values.state]}>{row.values.state}</Badge> },
                  {
                    name: "do",
                    title: <span className="visually-hidden">What can be done</span>,
                    cell: (row) =>
                      listSteps(row).map((step) => (
                        <Button key={step} look="quiet" onClick={() => setAsked({ step, query: row })}>
                          {STEPS[step].action}
                        </Button>
                      )),
                  },
                ]}
              />
            )
          }
        </Answered>
        {queries.data && queries.data.total > queries.data.items.length ? (
          <p style={{ padding: 12 }}>
            The first {queries.data.items.length} of {queries.data.total}.
          </p>
        ) : null}
      </Panel>
      {asked ? (
        <ReasonDialog
          title={STEPS[asked.step].title}
          action={STEPS[asked.step].action}
          optional={STEPS[asked.step].optional}
          label={asked.step === "answer" ? "Answer" : asked.step === "reopening" ? "What is missing" : undefined}
          onClose={() => setAsked(null)}
          onDone={async (text) => {
            await change.mutateAsync({
              method: "POST",
              path: `/api/query/${asked.query.item_id}/${asked.step}`,
              etag: `"${asked.query.version}"`,
              body: { [STEPS[asked.step].field]: text },
            });
            say(STEPS[asked.step].done);
          }}
        >
          <p>{asked.query.values.question}</p>
          {asked.query.values.answer ? <p>Answer: {asked.query.values.answer}</p> : null}
          <AskedBefore queryId={asked.query.item_id} />
        </ReasonDialog>
      ) : null}
    </Page>
  );
}
