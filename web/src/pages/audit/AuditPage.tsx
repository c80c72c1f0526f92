import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { client, readDocument, unwrap } from "../../api/client";
import { type ItemPage, toListPath, useItems } from "../../api/items";
import { submitJob, useJob } from "../../api/jobs";
import { useMay } from "../../shell/me";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { Facts } from "../../ui/Facts";
import { TextField } from "../../ui/Field";
import { JobProgress } from "../../ui/JobProgress";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Empty, Failure, Loading } from "../../ui/States";
import { Table } from "../../ui/Table";
import { instant } from "../../ui/numbers";
import { toListWords, toWords } from "./words";
import styles from "./AuditPage.module.css";

interface TrailEvent {
  number: number;
  time_utc: string;
  actor_id: string;
  action: string;
  kind: string;
  item_id: string;
  version: number;
  patient_id: string;
  /** Field, old, new; a fourth tells how many leading entries of a list stayed: old and new are what follows them. */
  changes: Array<[string, unknown, unknown, number?]>;
  reason: string;
  hash: string;
}

const AT_ONCE = 100;

/** Everything that was done to the record, in order, and whether the chain is whole. */
export default function AuditPage() {
  const [patient, setPatient] = useState("");
  const [wanted, setWanted] = useState("");
  const mayVerify = useMay("audit.verify");
  const mayNames = useMay("account.read");
  const accounts = useItems<{ display_name: string }>("account", { limit: 500 }, mayNames);
  const names = new Map(accounts.data?.items.map((one) => [one.item_id, one.values.display_name]));
  const trail = useInfiniteQuery({
    queryKey: ["trail", wanted],
    initialPageParam: 0,
    queryFn: async ({ pageParam }) =>
      unwrap(client.GET("/api/events", { params: { query: { patient_id: wanted, after: pageParam, limit: AT_ONCE } } })),
    getNextPageParam: (last) => last.next || undefined,
  });
  const events = (trail.data?.pages.flatMap((one) => one.events) ?? []) as unknown as TrailEvent[];
  return (
    <Page title="Audit trail" ready={trail.data !== undefined}>
      {mayVerify ? <Verification /> : null}
      <Panel
        title="Events"
        flush
        actions={
          <form
            className={styles.filter}
            onSubmit={(event) => {
              event.preventDefault();
              void findPatient(patient.trim()).then(setWanted);
            }}
          >
            <TextField label="Of one patient" value={patient} onChange={(event) => setPatient(event.target.value)} />
            <Button type="submit">Show</Button>
          </form>
        }
      >
        {trail.error ? <Failure error={trail.error} retry={() => void trail.refetch()} /> : null}
        {trail.isPending ? <Loading what="the trail" /> : null}
        {trail.data && events.length === 0 ? <Empty title="No event">Nothing was done yet, or not to this patient.</Empty> : null}
        {events.length > 0 ? (
          <Table
            caption="Events of the audit trail, oldest first"
            rows={events}
            rowKey={(row) => String(row.number)}
            columns={[
              { name: "number", title: "No.", number: true, cell: (row) => row.number },
              { name: "time", title: "When", cell: (row) => instant(row.time_utc) },
              { name: "actor", title: "Who", cell: (row) => names.get(row.actor_id) ?? row.actor_id },
              { name: "action", title: "Did", cell: (row) => `${row.action.replaceAll("_", " ")} ${row.kind.replaceAll("_", " ")}` },
              { name: "item", title: "Item", cell: (row) => `${row.item_id.slice(0, 8)} · v${row.version}` },
              { name: "changes", title: "From, to", cell: (row) => <Changes rows={row.changes} /> },
              { name: "reason", title: "Reason", cell: (row) => row.reason || "–" },
              { name: "hash", title: "Hash", cell: (row) => <span className={styles.hash}>{row.hash.slice(0, 10)}</span> },
            ]}
          />
        ) : null}
        {trail.hasNextPage ? (
          <div className={styles.more}>
            <Button busy={trail.isFetchingNextPage} onClick={() => void trail.fetchNextPage()}>
              Show later events
            </Button>
          </div>
        ) : null}
      </Panel>
    </Page>
  );
}

/** People know subject numbers, the trail knows identifiers; either is taken. */
async function findPatient(text: string): Promise<string> {
  if (text === "") return "";
  const found = await readDocument<ItemPage>(toListPath("patient", { subject_id: text, limit: 1 })).catch(() => null);
  return found?.items[0]?.item_id ?? text;
}

function Changes({ rows }: { rows: TrailEvent["changes"] }) {
  return (
    <div className={styles.changes}>
      {rows.slice(0, 8).map(([field, old, now, kept]) => (
        <span key={field}>
          <span className={styles.field}>{field.replaceAll("_", " ")}</span> {kept ? toListWords(old, now, kept) : `${old === null ? "" : `${toWords(old)} → `}${toWords(now)}`}
        </span>
      ))}
      {rows.length > 8 ? <span className={styles.field}>and {rows.length - 8} more fields</span> : null}
    </div>
  );
}

/** Hold the whole chain, values, files and signatures against each other. */
function Verification() {
  const [jobId, setJobId] = useState("");
  const [error, setError] = useState<unknown>(null);
  const job = useJob(jobId);
  async function start() {
    setError(null);
    try {
      setJobId((await submitJob("verify", "", {})).job_id);
    } catch (problem) {
      setError(problem);
    }
  }
  const result = job.data?.state === "done" ? job.data.result : null;
  const findings = (result?.["findings"] ?? []) as Array<{ rule: string; message: string }>;
  return (
    <Panel
      title="Is the record whole?"
      actions={
        <Button look="main" onClick={() => void start()} busy={jobId !== "" && job.data !== undefined && result === null && job.data.state === "running"}>
          Verify now
        </Button>
      }
    >
      {error ? <Failure error={error} /> : null}
      {jobId === "" ? <p>Every event's hash, every value, file and signature is held against the trail.</p> : null}
      {job.data && result === null ? <JobProgress job={job.data} label="Verification" /> : null}
      {result ? (
        <>
          <p>
            <Badge tone={result["whole"] ? "good" : "bad"}>{result["whole"] ? "whole" : "not whole"}</Badge>
          </p>
          <Facts
            rows={[
              ["Events", String(result["events"])],
              ["Items", String(result["items"])],
              ["Files", String(result["files"])],
              ["Signatures", `${String(result["signatures"])}, ${(result["broken_signatures"] as unknown[]).length} no longer valid`],
              ["Head of the chain", <span key="head" className={styles.hash}>{String(result["head_hash"])}</span>],
            ]}
          />
          {findings.map((finding) => (
            <p key={finding.rule + finding.message}>
              <Badge tone="bad">{finding.rule}</Badge> {finding.message}
            </p>
          ))}
        </>
      ) : null}
    </Panel>
  );
}
