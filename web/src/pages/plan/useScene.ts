/** What the page shows, asked for at once: scene and plan, then the volumes that the scene names. */
import { useQuery } from "@tanstack/react-query";
import { client, readBytes, readDocument, unwrap } from "../../api/client";
import { NAMED_BY_ADDRESS } from "../../api/items";
import type { PlanDocument } from "./model";

export function useScene(planId: string) {
  return useQuery({
    queryKey: ["plan-scene", planId],
    queryFn: async () => unwrap(client.GET("/api/plan/{plan_id}/scene", { params: { path: { plan_id: planId } } })),
  });
}

export function usePlanDocument(planId: string) {
  return useQuery({
    queryKey: ["plan-document", planId],
    queryFn: ({ signal }) => readDocument<PlanDocument>(`/api/files/plan/${planId}/plan.json`, signal),
    staleTime: Number.POSITIVE_INFINITY,
    meta: NAMED_BY_ADDRESS,
  });
}

/** Bytes of a volume; their address names them, so they are read once, whatever else is read again. */
export function useBytes(address: string | undefined) {
  return useQuery({
    queryKey: ["bytes", address],
    // Unpacked by the browser on the way, beside the page.
    queryFn: ({ signal }) => readBytes(`${address}&form=unpacked`, signal),
    enabled: Boolean(address),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    meta: NAMED_BY_ADDRESS,
    // Should they be read again all the same: a viewer is not opened twice for the same bytes.
    structuralSharing: (held: unknown, read: unknown) => held ?? read,
  });
}

export interface PackedSurface {
  kind: string;
  value: number;
  lesion_id: string | null;
  points: string;
  triangles: string;
}

export function useSurfaces(address: string | undefined) {
  return useQuery({
    queryKey: ["surfaces", address],
    queryFn: ({ signal }) => readDocument<{ surfaces: PackedSurface[] }>(address ?? "", signal),
    enabled: Boolean(address),
    staleTime: Number.POSITIVE_INFINITY,
    meta: NAMED_BY_ADDRESS,
  });
}

export interface SkinMap {
  lesion_id: string;
  count: number;
  origin_lps_mm: number[];
  step_mm: number;
  points: string;
  normals: string;
  areas_mm2: string;
  classes: string;
  rank_cm2: string;
  skin_cm2: Record<string, number>;
}

export function useSkinMap(address: string | undefined, wanted: boolean) {
  return useQuery({
    queryKey: ["skin", address],
    queryFn: ({ signal }) => readDocument<SkinMap>(address ?? "", signal),
    enabled: wanted && Boolean(address),
    staleTime: Number.POSITIVE_INFINITY,
    meta: NAMED_BY_ADDRESS,
  });
}

/** Bytes of a text in base64. */
export function unpack(text: string): ArrayBuffer {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}
