/** Reading and changing items of the record, the same for every kind. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { CSRF_HEADER, makeKey, sendPatiently } from "./client";
import { type Calendar, toDatesHeader } from "./dates";
import { toProblem } from "./problem";

export interface Item<V = Record<string, unknown>> {
  kind: string;
  item_id: string;
  site_id: string;
  patient_id: string;
  version: number;
  locked: boolean;
  values: V;
}

export interface ItemPage<V = Record<string, unknown>> {
  items: Item<V>[];
  next: string;
  total: number;
}

export interface Held<V = Record<string, unknown>> {
  item: Item<V>;
  etag: string;
}

type Query = Record<string, string | number | undefined>;

async function ask<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>) {
  const request = new Request(path, {
    method,
    headers: { ...CSRF_HEADER, ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await sendPatiently(request);
  const document: unknown = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw toProblem(answer.status, document);
  return { data: document as T, etag: answer.headers.get("etag") ?? "" };
}

/** Return the address of a list of items. */
export function toListPath(kind: string, query: Query = {}): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== "") words.set(name, String(value));
  const text = words.toString();
  return `/api/${kind}${text ? `?${text}` : ""}`;
}

/** Read one page of items. */
export function useItems<V = Record<string, unknown>>(kind: string, query: Query = {}, enabled = true) {
  return useQuery({
    queryKey: ["items", kind, query],
    queryFn: async () => (await ask<ItemPage<V>>("GET", toListPath(kind, query))).data,
    enabled,
  });
}

/** Read one item with the ETag that a change of it must name. */
export function useItem<V = Record<string, unknown>>(kind: string, itemId: string, enabled = true) {
  return useQuery({
    queryKey: ["item", kind, itemId],
    queryFn: async (): Promise<Held<V>> => {
      const { data, etag } = await ask<Item<V>>("GET", `/api/${kind}/${itemId}`);
      return { item: data, etag };
    },
    enabled: enabled && itemId !== "",
  });
}

/** What every change of the record carries. */
export interface Change {
  method: "POST" | "PATCH" | "PUT";
  path: string;
  body?: unknown;
  etag?: string;
  /** The same key for the same wish: sent twice, done once. */
  key?: string;
  /** Of which calendar its dates are, where the record moves them; those typed are true. */
  dates?: Calendar;
}

/** Send one change. */
export async function sendChange<T = unknown>(change: Change): Promise<{ data: T; etag: string }> {
  return ask<T>(change.method, change.path, change.body ?? {}, {
    "idempotency-key": change.key ?? makeKey(),
    ...(change.etag ? { "if-match": change.etag } : {}),
    ...toDatesHeader(change.dates),
  });
}

/** Said of a query whose address names its bytes, such as a volume's: no change of the record makes them others. */
export const NAMED_BY_ADDRESS = { namedByAddress: true } as const;

/** Send changes from a page; whatever was read before is read again, but for bytes that their address names. */
export function useChange<T = unknown>() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (change: Change) => sendChange<T>(change),
    onSettled: () => cache.invalidateQueries({ predicate: (query) => !query.meta?.["namedByAddress"] }),
  });
}
