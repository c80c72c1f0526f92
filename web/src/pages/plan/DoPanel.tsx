/** What is done with the plan: sheet, report, PACS, another plan. */
import { useState } from "react";
import { useLocation } from "wouter";
import { submitJob, useJob } from "../../api/jobs";
import { useChange } from "../../api/items";
import { Button } from "../../ui/Button";
import { CheckField } from "../../ui/Field";
import { JobProgress } from "../../ui/JobProgress";
import { useNotice } from "../../ui/Notices";
import { Failure } from "../../ui/States";
import styles from "./PlanPage.module.css";
import type { Drawn, PlanDocument, PlanValues, Scene } from "./model";

interface Props {
  plan: PlanDocument;
  scene: Scene;
  values: PlanValues;
  mayWrite: boolean;
  maySend: boolean;
  /** Labels drawn on this page, to be used by a new plan. */
  drawn: readonly Drawn[];
}

export function DoPanel({ plan, scene, values, mayWrite, maySend, drawn }: Props) {
  const files = `/api/files/plan/${scene.plan_id}`;
  const change = useChange<{ pacs: string; files: string[] }>();
  const say = useNotice();
  async function send() {
    const { data } = await change.mutateAsync({ method: "POST", path: `/api/plan/${scene.plan_id}/sending` });
    say(`${data.files.length} objects were sent to ${data.pacs}`);
  }
  return (
    <div className={styles.stack}>
      <section className={styles.card}>
        <h3>Papers</h3>
        <div className={styles.row}>
          <a className={styles.link} href={`${files}/sheet.pdf`} target="_blank" rel="noreferrer">
            Sheet to print
          </a>
          <a className={styles.link} href={`${files}/report.html`} target="_blank" rel="noreferrer">
            Report
          </a>
        </div>
      </section>
      {maySend && scene.sendable_files.length > 0 ? (
        <section className={styles.card}>
          <h3>PACS</h3>
          <p className={styles.quiet}>{scene.sendable_files.length} DICOM objects: report, segmentation, sheet. They go where the scan came from.</p>
          <Button busy={change.isPending} onClick={() => void send().catch(() => undefined)}>
            Send to PACS
          </Button>
          {change.error ? <Failure error={change.error} /> : null}
        </section>
      ) : null}
      {mayWrite && values.request ? <Replan plan={plan} scene={scene} request={values.request} drawn={drawn} /> : null}
    </div>
  );
}

function Replan({ plan, scene, request, drawn }: { plan: PlanDocument; scene: Scene; request: Record<string, unknown>; drawn: Props["drawn"] }) {
  const [absent, setAbsent] = useState<string[]>(plan.declared_absent);
  const [jobId, setJobId] = useState("");
  const [error, setError] = useState<unknown>(null);
  const job = useJob(jobId);
  const [, go] = useLocation();
  const groups = [...new Set([...plan.declared_absent, ...plan.missing_structures])];
  async function start() {
    setError(null);
    const held = (request["labels"] as Array<Record<string, unknown>>) ?? [];
    const more = drawn.map((one) => ({ scan_id: one.scanId, names_by_value: { "1": one.name } }));
    try {
      const made = await submitJob("plan", scene.patient_id, { ...request, absent, labels: [...held, ...more] });
      setJobId(made.job_id);
    } catch (problem) {
      setError(problem);
    }
  }
  const made = job.data?.result["plan_id"] as string | undefined;
  return (
    <section className={styles.card}>
      <h3>Plan again</h3>
      {drawn.length > 0 ? <p>With what you drew: {drawn.map((one) => (one.redraws ? `${one.redraws}, redrawn` : one.name)).join("; ")}.</p> : null}
      {groups.length > 0 ? (
        <fieldset className={styles.group}>
          <legend>Declared absent or out of reach</legend>
          {groups.map((group) => (
            <CheckField
              key={group}
              label={group}
              checked={absent.includes(group)}
              onChange={(event) => setAbsent((all) => (event.target.checked ? [...all, group] : all.filter((one) => one !== group)))}
            />
          ))}
        </fieldset>
      ) : null}
      {job.data ? <JobProgress job={job.data} label="New plan" /> : null}
      {made ? (
        <Button look="main" onClick={() => go(`/patient/${scene.patient_id}/plan/${made}`)}>
          Open the new plan
        </Button>
      ) : (
        <Button look="main" disabled={jobId !== "" && job.data?.state !== "failed"} onClick={() => void start()}>
          Plan again
        </Button>
      )}
      {error ? <Failure error={error} /> : null}
    </section>
  );
}
