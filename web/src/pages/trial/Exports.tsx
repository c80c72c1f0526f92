import { useState } from "react";
import { useItems } from "../../api/items";
import { submitJob, useJob } from "../../api/jobs";
import { useMay } from "../../shell/me";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { SelectField } from "../../ui/Field";
import { JobProgress } from "../../ui/JobProgress";
import { Columns } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty, Failure } from "../../ui/States";
import { Table } from "../../ui/Table";
import { instant } from "../../ui/numbers";
import styles from "./Trial.module.css";

/** Kinds that a statistician or data manager takes out; the server asks for the right of each. */
const KINDS: ReadonlyArray<readonly [kind: string, label: string, right: string]> = [
  ["patient", "Patients", "patient.read"],
  ["consent", "Consents", "consent.read"],
  ["visit", "Visits", "visit.read"],
  ["lesion", "Lesions", "lesion.read"],
  ["procedure", "Procedures", "procedure.read"],
  ["read", "Reads", "read.read"],
  ["measurement", "Measurements", "measurement.read"],
  ["adverse_event", "Adverse events", "adverse_event.read"],
  ["laboratory", "Laboratory", "laboratory.read"],
  ["query", "Queries", "query.read"],
];

interface ReportValues {
  about: string;
  made_time: string;
  partial: boolean;
  subjects?: number | null;
  files: Record<string, string>;
}

/** Data as CSV, and the report of the trial made on the server. */
export function Exports() {
  const mayData = useMay("export.data");
  const mayReport = useMay("export.report");
  if (!mayData && !mayReport) return null;
  return (
    <Columns>
      {mayReport ? <Reports /> : null}
      {mayData ? <Downloads /> : null}
    </Columns>
  );
}

function Downloads() {
  return (
    <Panel title="Data as CSV">
      <div className={styles.stack}>
        <p className={styles.quiet}>One row an item, of your sites. Every export is an event of the audit trail.</p>
        <ul className={styles.exports}>
          {KINDS.map(([kind, label, right]) => (
            <Download key={kind} kind={kind} label={label} right={right} />
          ))}
        </ul>
      </div>
    </Panel>
  );
}

function Download({ kind, label, right }: { kind: string; label: string; right: string }) {
  if (!useMay(right)) return null;
  return (
    <li>
      <a href={`./api/export/${kind}`} download={`${kind}.csv`}>
        {label}
      </a>
    </li>
  );
}

function Reports() {
  const sites = useItems<{ name: string }>("site", { limit: 200 });
  const reports = useItems<ReportValues>("report", { limit: 50 });
  const [site, setSite] = useState("");
  const [about, setAbout] = useState("trial");
  const [jobId, setJobId] = useState("");
  const [error, setError] = useState<unknown>(null);
  const job = useJob(jobId);
  const chosen = site || (sites.data?.items[0]?.item_id ?? "");
  const busy = job.data !== undefined && ["queued", "running"].includes(job.data.state);
  const done = job.data?.state === "done";
  async function start() {
    setError(null);
    try {
      setJobId((await submitJob("report", "", { about, site_id: chosen })).job_id);
    } catch (problem) {
      setError(problem);
    }
  }
  const names = new Map(sites.data?.items.map((one) => [one.item_id, one.values.name]));
  return (
    <Panel title="Report">
      <div className={styles.stack}>
        <div className={styles.choices}>
          <SelectField
            label="About"
            value={about}
            onChange={(event) => setAbout(event.target.value)}
            options={[
              { value: "trial", label: "The trial: tables, figures, CDISC datasets" },
              { value: "response", label: "Response over time" },
            ]}
          />
          <SelectField
            label="Site"
            value={chosen}
            onChange={(event) => setSite(event.target.value)}
            options={(sites.data?.items ?? []).map((one) => ({ value: one.item_id, label: one.values.name }))}
          />
          <Button look="main" className={styles.make} busy={busy} disabled={!chosen} onClick={() => void start()}>
            Make the report
          </Button>
        </div>
        {error ? <Failure error={error} /> : null}
        {job.data ? <JobProgress job={job.data} label="Report" /> : null}
        <Made key={done ? jobId : ""} reports={reports} names={names} fresh={done ? String(job.data?.result["report_id"] ?? "") : ""} />
      </div>
    </Panel>
  );
}

function Made({ reports, names, fresh }: { reports: ReturnType<typeof useItems<ReportValues>>; names: Map<string, string>; fresh: string }) {
  const [asked, setAsked] = useState("");
  if (fresh && asked !== fresh) {
    setAsked(fresh);
    void reports.refetch();
  }
  return (
    <Answered asked={reports} what="reports">
      {(found) =>
        found.items.length === 0 ? (
          <Empty title="No report yet">A report is made from the record as it stands, and kept with its files.</Empty>
        ) : (
          <Table
            caption="Reports that were made"
            rows={[...found.items].sort((one, other) => other.values.made_time.localeCompare(one.values.made_time))}
            rowKey={(row) => row.item_id}
            columns={[
              { name: "made", title: "Made", cell: (row) => instant(row.values.made_time) },
              { name: "about", title: "About", cell: (row) => `${row.values.about}, ${names.get(row.site_id) ?? row.site_id}` },
              {
                name: "files",
                title: "Files",
                cell: (row) => (
                  <span data-report={row.item_id}>
                    {row.values.partial ? <Badge tone="caution">something was left out</Badge> : null} <Files itemId={row.item_id} names={Object.keys(row.values.files)} />
                  </span>
                ),
              },
            ]}
          />
        )
      }
    </Answered>
  );
}

/** Reports first, the many datasets and pictures folded. */
function Files({ itemId, names }: { itemId: string; names: string[] }) {
  const first = names.filter((name) => !name.includes("__") && /\.(pdf|html)$/.test(name));
  const rest = names.filter((name) => !first.includes(name)).sort();
  const link = (name: string) => (
    <a key={name} href={`./api/files/report/${itemId}/${name}`} target="_blank" rel="noreferrer">
      {name.replaceAll("__", "/")}
    </a>
  );
  return (
    <>
      <span className={styles.files}>{first.map(link)}</span>
      <details className={styles.details}>
        <summary>{rest.length} more files</summary>
        <span className={styles.files}>{rest.map(link)}</span>
      </details>
    </>
  );
}
