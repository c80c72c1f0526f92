/** Values of the trail in words. */

const LONGEST = 80;

export function toWords(value: unknown): string {
  if (value === null || value === undefined) return "not set";
  const isPlainList = Array.isArray(value) && value.every((one) => typeof one === "string");
  const text = typeof value === "string" ? value : isPlainList ? value.join(", ") || "none" : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 3)}…` : text;
}

/** A change of a list that tells only what follows its first entries. */
export function toListWords(old: unknown, now: unknown, kept: number): string {
  const [gone, come] = [old, now].map((value) => (Array.isArray(value) ? value : []));
  const stayed = `${kept} ${kept === 1 ? "entry" : "entries"} kept`;
  const removed = gone && gone.length > 0 ? [`removed ${toEntries(gone)}`] : [];
  const added = come && come.length > 0 ? [`added ${toEntries(come)}`] : [];
  return [stayed, ...removed, ...added].join("; ");
}

function toEntries(entries: unknown[]): string {
  const text = entries.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join(", ");
  return text.length > LONGEST ? `${entries.length}: ${text.slice(0, LONGEST - 3)}…` : text;
}
