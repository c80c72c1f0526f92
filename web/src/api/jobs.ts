/** Long work on the server: ask for it, watch it, stop it. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { client, makeKey, unwrap } from "./client";

export interface Job {
  job_id: string;
  kind: string;
  patient_id: string;
  account_id: string;
  state: string;
  stage: string;
  fraction: number;
  request: Record<string, unknown>;
  result: Record<string, unknown>;
  created_at: string;
  seen_at: string;
}

const OVER = new Set(["done", "failed", "cancelled"]);
/** Asked this often where the stream of events breaks off. */
const LOOK_EVERY_MS = 2000;

export function isOver(job: Job): boolean {
  return OVER.has(job.state);
}

/** Ask for work; the same key twice is one job. */
export async function submitJob(kind: string, patientId: string, request: Record<string, unknown>, key = makeKey()): Promise<Job> {
  return (await unwrap(
    client.POST("/api/job", { body: { kind, patient_id: patientId, request }, headers: { "idempotency-key": key } }),
  )) as Job;
}

export async function cancelJob(jobId: string): Promise<Job> {
  return (await unwrap(client.POST("/api/job/{job_id}/cancel", { params: { path: { job_id: jobId } } }))) as Job;
}

export async function resumeJob(jobId: string): Promise<Job> {
  return (await unwrap(client.POST("/api/job/{job_id}/resume", { params: { path: { job_id: jobId } } }))) as Job;
}

/** Watch a job: the server's events where they come, asking now and then where they do not. */
export function useJob(jobId: string) {
  const cache = useQueryClient();
  const asked = useQuery({
    queryKey: ["job", jobId],
    queryFn: async () => (await unwrap(client.GET("/api/job/{job_id}", { params: { path: { job_id: jobId } } }))) as Job,
    enabled: jobId !== "",
    refetchInterval: (query) => (query.state.data && isOver(query.state.data) ? false : LOOK_EVERY_MS),
  });
  const over = asked.data ? isOver(asked.data) : false;
  useEffect(() => {
    if (jobId === "" || over) return;
    const events = new EventSource(`./api/job/${jobId}/events`);
    events.addEventListener("job", (event) => {
      cache.setQueryData(["job", jobId], JSON.parse((event as MessageEvent<string>).data));
    });
    events.onerror = () => events.close();
    return () => events.close();
  }, [cache, jobId, over]);
  return asked;
}
