import { type Job, cancelJob, isOver, resumeJob } from "../api/jobs";
import { Problem } from "../api/problem";
import { Button } from "./Button";
import styles from "./JobProgress.module.css";
import { Failure } from "./States";

const WORDS: Record<string, string> = {
  queued: "Waits for its turn",
  running: "At work",
  cancelling: "Is being stopped",
  cancelled: "Stopped; nothing was kept",
  interrupted: "The server ended before it was done",
  failed: "Did not come to an end",
  done: "Done",
};

/** How long work stands: stage, share done, a way to stop it or to go on; what went wrong. */
export function JobProgress({ job, label }: { job: Job; label: string }) {
  const problem = job.result["error"] as Record<string, string> | undefined;
  return (
    <div className={styles.progress} role="status" aria-live="polite" data-job={job.state}>
      <div className={styles.line}>
        <span>
          <strong>{label}</strong> · {WORDS[job.state] ?? job.state}
          {job.stage && !isOver(job) ? ` · ${job.stage}` : ""}
        </span>
        {job.state === "queued" || job.state === "running" ? (
          <Button onClick={() => void cancelJob(job.job_id)}>Stop</Button>
        ) : null}
        {job.state === "interrupted" ? <Button onClick={() => void resumeJob(job.job_id)}>Go on</Button> : null}
      </div>
      {isOver(job) ? null : (
        <progress className={styles.bar} max={1} value={job.fraction} aria-label={label}>
          {Math.round(job.fraction * 100)} %
        </progress>
      )}
      {problem ? <Failure error={new Problem(422, problem)} /> : null}
    </div>
  );
}
