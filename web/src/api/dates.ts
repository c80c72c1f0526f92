/**
 * A research record keeps no true date: whoever sends one says whether it is true, and is moved, or one that the record
 * shows. What nobody says otherwise was typed by a person or read off this machine's clock, and is true.
 */

/** Of which calendar the dates of a change are. */
export type Calendar = "true" | "record";

export const DATES_HEADER = "hepatica-dates";

const READS = new Set(["GET", "HEAD"]);
let movesDates = false;

/** Note the mode that the server told. */
export function noteMode(mode: string): void {
  movesDates = mode === "research";
}

/** Whether no date that the record shows is true. */
export function areDatesMoved(): boolean {
  return movesDates;
}

/** Return the header that says of which calendar dates are; none where nothing is said. */
export function toDatesHeader(calendar: Calendar | undefined): Record<string, string> {
  return calendar === undefined ? {} : { [DATES_HEADER]: calendar };
}

/** Say of a change of a research record that its dates are true, unless its sender said otherwise. */
export function sayCalendar(request: Request): void {
  if (movesDates && !READS.has(request.method) && !request.headers.has(DATES_HEADER)) request.headers.set(DATES_HEADER, "true");
}
