import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { client, unwrap } from "../../api/client";
import type { components } from "../../api/schema";
import { useMay, useMe } from "../../shell/me";
import { Badge, type Tone } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty } from "../../ui/States";
import { Table } from "../../ui/Table";
import { AssignDialog } from "./AssignDialog";

type State = "assigned" | "started" | "locked";
export type Pair = components["schemas"]["UndecidedPair"];

const STATES: readonly State[] = ["assigned", "started", "locked"];
const TONES: Record<State, Tone> = { assigned: "caution", started: "quiet", locked: "good" };
const ROLES: Record<string, string> = { reader_1: "Reader 1", reader_2: "Reader 2", adjudicator: "Adjudicator" };
const PAGE = 50;

export const CRITERIA = [
  { value: "recist-1.1", label: "RECIST 1.1" },
  { value: "irecist", label: "iRECIST" },
  { value: "itrecist", label: "itRECIST-based" },
  { value: "mrecist", label: "mRECIST" },
  { value: "volumetric", label: "Volumetric" },
];

function nameCriterion(value: string): string {
  return CRITERIA.find((one) => one.value === value)?.label ?? value;
}

/** Reads to do and done; who assigns also sees what waits for a decision. */
export default function ReadsPage() {
  const me = useMe();
  const mayAssign = useMay("read.assign");
  const mayRead = useMay("read.write");
  const [state, setState] = useState<State | "">("");
  const [after, setAfter] = useState(0);
  const [asked, setAsked] = useState<"read" | Pair | null>(null);
  const mine = me.blinded && mayRead;
  const reads = useQuery({
    queryKey: ["reading", state, after, mine],
    queryFn: async () => unwrap(client.GET("/api/reading", { params: { query: { state, after, limit: PAGE, mine } } })),
    placeholderData: (before) => before,
  });
  const counts = reads.data?.counts ?? {};
  const all = STATES.reduce((sum, one) => sum + (counts[one] ?? 0), 0);
  function choose(one: State | "") {
    setState(one);
    setAfter(0);
  }
  return (
    <Page
      title={mine ? "My reads" : "Reads"}
      ready={reads.data !== undefined}
      actions={
        <>
          <Button pressed={state === ""} onClick={() => choose("")}>
            All {all}
          </Button>
          {STATES.map((one) => (
            <Button key={one} pressed={state === one} onClick={() => choose(one)}>
              {one[0]?.toUpperCase() + one.slice(1)} {counts[one] ?? 0}
            </Button>
          ))}
          {mayAssign ? (
            <Button look="main" onClick={() => setAsked("read")}>
              Assign a read
            </Button>
          ) : null}
        </>
      }
    >
      {mayAssign && reads.data ? <Undecided pairs={reads.data.pairs} total={reads.data.pair_total} onAssign={setAsked} /> : null}
      <Panel flush title={mine ? undefined : "All reads"}>
        <Answered asked={reads} what="reads">
          {(found) =>
            found.rows.length === 0 ? (
              <Empty title={state ? `No read is ${state}` : "There is no read yet"}>
                {mayAssign ? "Assign a patient's scans to a reader." : "The coordinator assigns them."}
              </Empty>
            ) : (
              <Table
                caption="Reads"
                rows={found.rows}
                rowKey={(row) => row.read_id}
                columns={[
                  { name: "subject", title: "Patient", cell: (row) => <Link href={`/read/${row.read_id}`}>{row.subject_id || row.patient_id}</Link> },
                  {
                    name: "reader",
                    title: "Reader",
                    cell: (row) => [ROLES[row.role] ?? row.role, row.reader_name].filter(Boolean).join(", "),
                  },
                  { name: "criterion", title: "Criterion", cell: (row) => nameCriterion(row.criterion) },
                  { name: "scans", title: "Scans", number: true, cell: (row) => row.scan_count },
                  { name: "state", title: "State", cell: (row) => <Badge tone={TONES[row.state]}>{row.state}</Badge> },
                ]}
              />
            )
          }
        </Answered>
      </Panel>
      {reads.data && reads.data.total > PAGE ? (
        <nav aria-label="Pages of the list" style={{ display: "flex", gap: 8, alignItems: "center" }}>
          <Button disabled={after === 0} onClick={() => setAfter(Math.max(0, after - PAGE))}>
            Before
          </Button>
          <span>
            {after + 1} to {Math.min(after + PAGE, reads.data.total)} of {reads.data.total}
          </span>
          <Button disabled={after + PAGE >= reads.data.total} onClick={() => setAfter(after + PAGE)}>
            After
          </Button>
        </nav>
      ) : null}
      {asked ? <AssignDialog pair={asked === "read" ? null : asked} onClose={() => setAsked(null)} /> : null}
    </Page>
  );
}

function Undecided({ pairs, total, onAssign }: { pairs: readonly Pair[]; total: number; onAssign: (pair: Pair) => void }) {
  if (pairs.length === 0) return null;
  return (
    <Panel flush title={`To adjudicate: ${total} ${total === 1 ? "pair" : "pairs"} of locked reads`}>
      <Table
        caption="Two locked reads that nobody decided between"
        rows={pairs}
        rowKey={(row) => row.read_ids.join()}
        columns={[
          { name: "subject", title: "Patient", cell: (row) => row.subject_id || row.patient_id },
          { name: "criterion", title: "Criterion", cell: (row) => nameCriterion(row.criterion) },
          { name: "one", title: "Reader 1", cell: (row) => row.responses[0]?.join(", ") },
          { name: "other", title: "Reader 2", cell: (row) => row.responses[1]?.join(", ") },
          {
            name: "differs",
            title: "Response",
            cell: (row) => <Badge tone={row.responses_differ ? "caution" : "quiet"}>{row.responses_differ ? "differs" : "the same"}</Badge>,
          },
          { name: "marks", title: "Marks that differ", number: true, cell: (row) => row.difference_count },
          {
            name: "do",
            title: <span className="visually-hidden">What can be done</span>,
            cell: (row) => (
              <Button look="quiet" onClick={() => onAssign(row)}>
                Assign
              </Button>
            ),
          },
        ]}
      />
    </Panel>
  );
}
