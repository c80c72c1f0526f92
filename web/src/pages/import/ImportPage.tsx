import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import { CSRF_HEADER, makeKey, sendPatiently } from "../../api/client";
import { type Job, submitJob, useJob } from "../../api/jobs";
import { toProblem } from "../../api/problem";
import type { Params } from "../../shell/pages";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { JobProgress } from "../../ui/JobProgress";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Empty, Failure } from "../../ui/States";
import { Table } from "../../ui/Table";
import { PacsPanel } from "./PacsPanel";
import { PhaseCell } from "./PhaseCell";
import styles from "./ImportPage.module.css";

interface Imported {
  scan_id: string;
  outcome: string;
  modality: string;
  image_count: number;
  state: string;
  differing: string[];
  suspicions: string[];
}

const OUTCOMES: Record<string, string> = {
  imported: "imported",
  known: "was there already",
  extended: "more images were added",
  differs: "differs from the one there: nothing was changed",
  elsewhere: "is another patient's: nothing was changed",
};

/** A zip of DICOM, or one file, into the patient's record; each series is judged by the server. */
export default function ImportPage({ params }: { params: Params }) {
  const patientId = params["patientId"] ?? "";
  const [jobId, setJobId] = useState("");
  const [sending, setSending] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const job = useJob(jobId);
  const cache = useQueryClient();
  const state = job.data?.state;
  useEffect(() => {
    if (state === "done") void cache.invalidateQueries({ queryKey: ["timeline", patientId] });
  }, [cache, patientId, state]);

  async function take(file: File | undefined) {
    if (!file) return;
    setError(null);
    setJobId("");
    setSending(file.name);
    try {
      const request = new Request(`/api/patient/${patientId}/upload`, {
        method: "POST",
        headers: { ...CSRF_HEADER, "content-type": "application/octet-stream", "idempotency-key": makeKey() },
        body: file,
      });
      const answer = await sendPatiently(request);
      const made = (await answer.json().catch(() => null)) as Job | null;
      if (!answer.ok || !made) throw toProblem(answer.status, made);
      setJobId(made.job_id);
    } catch (problem) {
      setError(problem);
    } finally {
      setSending("");
    }
  }

  return (
    <Page title="Import scans" ready>
      <Panel>
        <div
          className={styles.drop}
          data-over={over}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={(event) => {
            event.preventDefault();
            setOver(false);
            void take(event.dataTransfer.files[0]);
          }}
        >
          <p>Drop a zip of DICOM files here, or a single DICOM file.</p>
          <Button look="main" busy={sending !== ""} onClick={() => input.current?.click()}>
            Choose a file
          </Button>
          <input ref={input} type="file" aria-label="Zip or DICOM file" className="visually-hidden" tabIndex={-1} onChange={(event) => void take(event.target.files?.[0])} />
          <p className={styles.quiet}>The server compares who the images name with this patient, and holds back what differs.</p>
        </div>
        {sending ? (
          <p role="status">Sending {sending} …</p>
        ) : null}
        {error ? <Failure error={error} /> : null}
        {job.data ? <JobProgress job={job.data} label="Import" /> : null}
      </Panel>
      <PacsPanel
        patientId={patientId}
        onTake={async (pacs, studyUid) => {
          setError(null);
          setJobId((await submitJob("pacs_import", patientId, { pacs, study_uid: studyUid })).job_id);
        }}
      />
      {job.data?.state === "done" ? <Found job={job.data} patientId={patientId} /> : null}
    </Page>
  );
}

function Found({ job, patientId }: { job: Job; patientId: string }) {
  const series = (job.result["series"] ?? []) as Imported[];
  return (
    <Panel
      title="What was found"
      flush
      actions={
        series.some((one) => one.modality === "CT" && one.state === "accepted") ? (
          <Link href={`/patient/${patientId}/new-plan`}>New plan on this scan</Link>
        ) : (
          <Link href={`/patient/${patientId}`}>To the timeline</Link>
        )
      }
    >
      {series.length === 0 ? (
        <Empty title="No series">The file holds no images.</Empty>
      ) : (
        <Table
          caption="Series of the file and what became of them"
          rows={series}
          rowKey={(row) => row.scan_id || row.outcome}
          columns={[
            { name: "modality", title: "Modality", cell: (row) => row.modality },
            { name: "phase", title: "Contrast phase", cell: (row) => (row.scan_id ? <PhaseCell scanId={row.scan_id} /> : "–") },
            { name: "images", title: "Images", number: true, cell: (row) => String(row.image_count) },
            { name: "outcome", title: "Outcome", cell: (row) => OUTCOMES[row.outcome] ?? row.outcome },
            {
              name: "state",
              title: "State",
              cell: (row) =>
                row.state ? (
                  <Badge tone={row.state === "accepted" ? "good" : "caution"}>{row.state.replaceAll("_", " ")}</Badge>
                ) : (
                  "–"
                ),
            },
            { name: "why", title: "Why it waits", cell: (row) => [...row.differing, ...row.suspicions].map((one) => one.replaceAll("_", " ")).join("; ") || "–" },
          ]}
        />
      )}
    </Panel>
  );
}
