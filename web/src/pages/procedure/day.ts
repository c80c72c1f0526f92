/** The day as the server sees it, and what the page asks for. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { client, makeKey, readDocument, unwrap, unwrapWithEtag } from "../../api/client";
import { toDatesHeader } from "../../api/dates";
import type { Item } from "../../api/items";
import { Outbox, type Waiting } from "../../api/outbox";
import { useMe } from "../../shell/me";
import type { Answer } from "../../ui/numbers";

export interface Entry {
  entry_id: string;
  kind: string;
  occurred_at: string;
  values: Record<string, unknown>;
  supersedes?: string;
  reason?: string;
  author?: string;
}

export interface DepositRow {
  key: string;
  lesion_id: string;
  puncture_id: string;
  track: number | null;
  order: number | null;
  entry_ids: string[];
  planned_ml: number | null;
  given_ml: Answer;
  leaked_ml: Answer;
  planned_depth_mm: number | null;
  depth_mm: number | null;
  stop_reason: string;
}

export interface LesionRow {
  lesion_id: string;
  planned_ml: number;
  no_place_ml: number;
  given_ml: Answer;
  leaked_ml: Answer;
  retained_ml: Answer;
  stop_reason: string;
  tip_deviation_mm: Answer;
}

export interface Deviation {
  key: string;
  subject: string;
  message: string;
  planned: number | null;
  performed: number | null;
  unit: string;
  reason: string;
}

export interface Needle {
  needle_id: string;
  puncture_id: string;
  is_in: boolean;
}

export interface DayDocument {
  plan_id: string;
  visit: number;
  agent: string;
  as_of: string;
  phase: string;
  open_checks: Array<{ check: string; text: string; blocks: string[] }>;
  next: Array<{ kind: string; allowed: boolean; reasons: string[] }>;
  totals: { planned_ml: number; drawn_ml: number; given_ml: Answer; leaked_ml: Answer };
  lesions: LesionRow[];
  deposits: DepositRow[];
  deviations: Deviation[];
  needles: Needle[];
  syringes: Array<{ syringe_id: string; left_ml: number }>;
  vials: Array<{ vial_id: string; lot: string; drawn_ml: number; left_ml: number }>;
  findings: Array<{ rule: string; severity: string; message: string; subject: string; status: string | null }>;
}

export interface EntryField {
  name: string;
  label: string;
  type: string;
  required: boolean;
  codes: string[];
  least: number | null;
  most: number | null;
  above: number | null;
}

export interface EntryKind {
  kind: string;
  label: string;
  at_least_one: boolean;
  phases: string[];
  fields: EntryField[];
}

export interface Day {
  item: Item<{ plan_id: string; visit_number: number; state: string }>;
  day: DayDocument;
  entries: Entry[];
  etag: string;
}

/** Looked at this often: another tablet may enter too. */
const LOOK_EVERY_MS = 5000;
/** Tried again this often after a lost connection. */
const SEND_EVERY_MS = 3000;

export function useDay(procedureId: string) {
  return useQuery({
    queryKey: ["day", procedureId],
    queryFn: async (): Promise<Day> => {
      const { data, etag } = await unwrapWithEtag(
        client.GET("/api/procedure/{procedure_id}/day", { params: { path: { procedure_id: procedureId } } }),
      );
      return { ...(data as unknown as Omit<Day, "etag">), etag };
    },
    refetchInterval: LOOK_EVERY_MS,
  });
}

export function useEntryKinds() {
  return useQuery({
    queryKey: ["entry-kinds"],
    queryFn: async () => (await unwrap(client.GET("/api/procedure-entries"))) as EntryKind[],
    staleTime: Number.POSITIVE_INFINITY,
  });
}

interface PlanPuncture {
  id: string;
  lesion_ids?: string[];
  needle?: { gauge?: number; name?: string };
}

/** The plan document, for what the day itself does not repeat. */
export function usePlanDocument(planId: string) {
  return useQuery({
    queryKey: ["plan-document", planId],
    queryFn: () => readDocument<{ punctures: PlanPuncture[]; backups: PlanPuncture[] }>(`/api/files/plan/${planId}/plan.json`),
    enabled: planId !== "",
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** The queue of this account's entries for a day. */
export function useOutbox(procedureId: string): { outbox: Outbox<Entry>; waiting: ReadonlyArray<Waiting<Entry>> } {
  const me = useMe();
  const cache = useQueryClient();
  const outbox = useMemo(
    () =>
      new Outbox<Entry>(`hepatica.day.${me.account_id}.${procedureId}`, window.localStorage, async (entries) => {
        await unwrap(
          client.POST("/api/procedure/{procedure_id}/entries", {
            params: { path: { procedure_id: procedureId } },
            headers: {
              "idempotency-key": entries[0]?.entry_id ?? makeKey(),
              // A correction begins with what the log shows; anything else is of this machine's clock or typed.
              ...toDatesHeader(entries[0]?.supersedes ? "record" : "true"),
            },
            body: { entries: entries.map(({ author: _author, ...entry }) => ({ supersedes: "", reason: "", ...entry })) },
          }),
        );
        await cache.invalidateQueries({ queryKey: ["day", procedureId] });
      }),
    [cache, me.account_id, procedureId],
  );
  const waiting = useSyncExternalStore(outbox.subscribe, outbox.list);
  const left = waiting.filter((one) => one.refusal === "").length;
  useEffect(() => {
    const again = () => void outbox.flush();
    again();
    window.addEventListener("online", again);
    const timer = left > 0 ? window.setInterval(again, SEND_EVERY_MS) : 0;
    return () => {
      window.removeEventListener("online", again);
      window.clearInterval(timer);
    };
  }, [outbox, left]);
  return { outbox, waiting };
}

/** This moment on the wall, with its zone, as the record wants it. */
export function toLocalInstant(at: Date): string {
  const offset = -at.getTimezoneOffset();
  const local = new Date(at.getTime() + offset * 60_000).toISOString().slice(0, 19);
  const sign = offset < 0 ? "-" : "+";
  const size = Math.abs(offset);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${local}${sign}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}
