/** What was asked of a patient's entries, and what of them was held against the source; read once for all rows of a page. */
import { useQuery } from "@tanstack/react-query";
import { client, readDocument, unwrap } from "../api/client";
import { type Item, type ItemPage, toListPath } from "../api/items";
import { useMay, useMe } from "./me";

/** Names an entry of the record as it was read. */
export interface About {
  kind: string;
  item_id: string;
  patient_id: string;
  version: number;
}

interface Mark {
  about_kind: string;
  about_item_id: string;
  about_version?: number | null;
  verified_fields: string[];
}

/** Fields that agree with their source, and those that were others when they were verified. */
export interface Verified {
  held: readonly string[];
  changed: readonly string[];
}

async function readAll<V>(kind: string, query: Record<string, string>): Promise<Item<V>[]> {
  const found: Item<V>[] = [];
  let after = "";
  do {
    const page = await readDocument<ItemPage<V>>(toListPath(kind, { ...query, limit: 500, after }));
    found.push(...page.items);
    after = page.next;
  } while (after !== "");
  return found;
}

/** Whether a person may have a right beside an entry: blinded readers have none here. */
export function useMayCheck(right: string): boolean {
  const may = useMay(right);
  return !useMe().blinded && may;
}

/** How many open queries there are about an entry. */
export function useOpenQueries(about: About): number {
  const may = useMayCheck("query.read");
  const queries = useQuery({
    queryKey: ["items", "query", "open of", about.patient_id],
    queryFn: () => readAll<Mark>("query", { patient_id: about.patient_id, state: "open" }),
    enabled: may,
  });
  return queries.data?.filter((one) => isAbout(one, about)).length ?? 0;
}

/** Return what of an entry was verified; the server is asked about one entry only where it changed since. */
export function useVerified(about: About): Verified {
  const may = useMayCheck("verification.read");
  const all = useQuery({
    queryKey: ["items", "verification", "of", about.patient_id],
    queryFn: () => readAll<Mark>("verification", { patient_id: about.patient_id }),
    enabled: may,
  });
  const marks = all.data?.filter((one) => isAbout(one, about)) ?? [];
  const isOlder = marks.some((one) => one.values.about_version !== about.version);
  const judged = useQuery({
    queryKey: ["verifications", about.kind, about.item_id, about.version],
    queryFn: () => unwrap(client.GET("/api/verifications/{kind}/{item_id}", { params: { path: { kind: about.kind, item_id: about.item_id } } })),
    enabled: isOlder,
  });
  if (!isOlder) return { held: join(marks.map((one) => one.values.verified_fields)), changed: [] };
  const rows = judged.data ?? [];
  const held = join(
    rows.map((row) => (row.verification.values["verified_fields"] as string[]).filter((name) => row.state === "holds" || (row.changed_fields.length > 0 && !row.changed_fields.includes(name)))),
  );
  const changed = join(rows.map((row) => row.changed_fields)).filter((name) => !held.includes(name));
  return { held, changed };
}

function isAbout(item: Item<Mark>, about: About): boolean {
  return item.values.about_kind === about.kind && item.values.about_item_id === about.item_id;
}

function join(lists: ReadonlyArray<readonly string[]>): string[] {
  return [...new Set(lists.flat())].sort();
}
