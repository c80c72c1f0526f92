/** What the page of one read asks the server for, and how it changes marks. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { CSRF_HEADER, client, readBytes, readDocument, sendPatiently, unwrap } from "../../api/client";
import { NAMED_BY_ADDRESS, sendChange } from "../../api/items";
import { toProblem } from "../../api/problem";
import type { components } from "../../api/schema";
import { type MapAnswer, toScanMap } from "./scanMap";

export type ReadPageAnswer = components["schemas"]["ReadPage"];
export type ReadScan = components["schemas"]["ReadScan"];
export type ReadLesion = components["schemas"]["ReadLesion"];
export type ReadMark = components["schemas"]["ReadMark"];
export type ReadVerdict = components["schemas"]["ReadVerdict"];
export type ReadVerdicts = components["schemas"]["ReadVerdicts"];
export type Difference = components["schemas"]["Difference"];

export function useReadPage(readId: string) {
  return useQuery({
    queryKey: ["read-page", readId],
    queryFn: async () => unwrap(client.GET("/api/read/{read_id}/page", { params: { path: { read_id: readId } } })),
  });
}

export type ReadRegistration = components["schemas"]["ReadRegistration"];

const UNDER_WAY = new Set(["queued", "running"]);
/** A registration takes some ten seconds; asked this often while one is made. */
const LOOK_EVERY_MS = 2000;

export function isUnderWay(row: ReadRegistration | undefined): boolean {
  return row !== undefined && UNDER_WAY.has(row.job_state);
}

/** How the follow-ups of a read are registered to its baseline. */
export function useRegistrations(readId: string) {
  return useQuery({
    queryKey: ["read-registrations", readId],
    queryFn: async () => unwrap(client.GET("/api/read/{read_id}/registrations", { params: { path: { read_id: readId } } })),
    refetchInterval: (query) => (query.state.data?.some(isUnderWay) ? LOOK_EVERY_MS : false),
    retry: 0,
  });
}

/** The map of a registration; its address names the bytes. */
export function useScanMap(address: string) {
  return useQuery({
    queryKey: ["scan-map", address],
    queryFn: async ({ signal }) => toScanMap(await readDocument<MapAnswer>(address, signal)),
    enabled: address !== "",
    staleTime: Number.POSITIVE_INFINITY,
    retry: 0,
    meta: NAMED_BY_ADDRESS,
    structuralSharing: false,
  });
}

/** Ask for the registration of a follow-up. */
export function useRegister(readId: string) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (followUpId: string) => sendChange({ method: "POST", path: `/api/read/${readId}/registration`, body: { followup_scan_id: followUpId } }),
    onSettled: () => cache.invalidateQueries({ queryKey: ["read-registrations", readId] }),
  });
}

/** Bytes of a scan; the address names them, so they are read once. */
export function useVolume(address: string) {
  return useQuery({
    queryKey: ["bytes", address],
    queryFn: ({ signal }) => readBytes(address, signal),
    enabled: address !== "",
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    retry: 0,
    meta: NAMED_BY_ADDRESS,
    // Whatever else is read again: bytes of one address stay the same, and a viewer is not opened twice for them.
    structuralSharing: (held: unknown, read: unknown) => held ?? read,
  });
}

export interface Signature {
  signature_id: string;
  signer_id: string;
  meaning: string;
  time_utc: string;
  state: string;
}

export function useSignatures(readId: string, wanted: boolean) {
  return useQuery({
    queryKey: ["signatures", "read", readId],
    queryFn: async () => {
      const path = { kind: "read", item_id: readId };
      return (await unwrap(client.GET("/api/signatures/{kind}/{item_id}", { params: { path } }))) as unknown as Signature[];
    },
    enabled: wanted,
  });
}

export interface MarkBody {
  lesion_id?: string;
  scan_id?: string;
  lesion_role?: string | null;
  longest_diameter_mm?: number | null;
  short_axis_mm?: number | null;
  volume_ml?: number | null;
  state?: string | null;
  ends_lps_mm?: number[][] | null;
  match_basis?: string | null;
}

/** Save, correct and take back marks; the page is read again after each. */
export function useMarks(readId: string) {
  const cache = useQueryClient();
  const again = () => cache.invalidateQueries({ queryKey: ["read-page", readId] });
  const save = useMutation({
    mutationFn: async ({ body, mark, reason }: { body: MarkBody; mark: ReadMark | undefined; reason: string }) => {
      const home = `/api/read/${readId}/measurement`;
      if (!mark) return sendChange<{ item_id: string }>({ method: "POST", path: home, body });
      const { scan_id: _, ...fields } = body;
      return sendChange<{ item_id: string }>({ method: "PATCH", path: `${home}/${mark.measurement_id}`, etag: mark.etag, body: { ...fields, reason } });
    },
    onSettled: again,
  });
  const remove = useMutation({
    mutationFn: ({ measurementId, etag, reason }: { measurementId: string; etag: string; reason: string }) =>
      sendNothing(`/api/read/${readId}/measurement/${measurementId}/removal`, etag, { reason }),
    onSettled: again,
  });
  return { save, remove };
}

async function sendNothing(path: string, etag: string, body: unknown): Promise<void> {
  const headers = { ...CSRF_HEADER, "content-type": "application/json", "if-match": etag };
  const answer = await sendPatiently(new Request(path, { method: "POST", headers, body: JSON.stringify(body) }));
  if (!answer.ok) throw toProblem(answer.status, await answer.json().catch(() => null));
}
