import type { Item } from "../../api/items";

/** In the order of visits; the record lists items by identifier. */
export function byVisit<V extends { visit_number: number }>(items: readonly Item<V>[]): Item<V>[] {
  return [...items].sort((one, other) => one.values.visit_number - other.values.visit_number);
}
