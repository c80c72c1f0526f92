/** Lines, drafts and matches: positions on the screen and words, no verdicts. */
import { type Point, add, norm, scale, subtract, toPoint } from "../../viewer/space";
import type { ReadLesion, ReadMark, ReadPageAnswer } from "./hooks";
import type { ScanMap } from "./scanMap";

export type Axis = "long" | "short";
export type Line = readonly [Point, Point];

export interface Draft {
  lesionId: string;
  scanId: string;
  long: Line | null;
  short: Line | null;
  longest_diameter_mm: string;
  short_axis_mm: string;
  volume_ml: string;
  state: string;
  role: string;
}

export const STATES = [
  { value: "PRESENT", label: "Present" },
  { value: "ABSENT", label: "Absent" },
  { value: "EQUIVOCAL", label: "Equivocal" },
  { value: "UNEQUIVOCAL", label: "Unequivocal progression, or unequivocally new" },
  { value: "NOT EVALUABLE", label: "Not evaluable" },
];
export const ROLES = [
  { value: "TARGET", label: "Target" },
  { value: "NON-TARGET", label: "Non-target" },
  { value: "NEW", label: "New lesion" },
];

/** Lines of a stored mark: the ends of the longest diameter, then of the short axis. */
export function toLines(ends: readonly (readonly number[])[] | null | undefined): { long: Line | null; short: Line | null } {
  const points = (ends ?? []).map((end) => toPoint(end));
  const [a, b, c, d] = points;
  return { long: a && b ? [a, b] : null, short: c && d ? [c, d] : null };
}

export function toEnds(long: Line | null, short: Line | null): number[][] | null {
  if (!long) return null;
  return [...long, ...(short ?? [])].map((point) => point.map((value) => Math.round(value * 1000) / 1000));
}

export function measureLine([a, b]: Line): number {
  return norm(subtract(a, b));
}

export function findMiddle([a, b]: Line): Point {
  return scale(add(a, b), 0.5);
}

export function findMark(marks: readonly ReadMark[], scanId: string, lesionId: string): ReadMark | undefined {
  return marks.find((mark) => mark.scan_id === scanId && mark.values.lesion_id === lesionId);
}

/** What is in the form for a lesion on a scan: what was saved, or what is likely to be said. */
export function toDraft(lesion: ReadLesion, scanId: string, mark: ReadMark | undefined, isBaseline: boolean): Draft {
  const values = mark?.values;
  const lines = toLines(values?.ends_lps_mm);
  return {
    lesionId: lesion.lesion_id,
    scanId,
    long: lines.long,
    short: lines.short,
    longest_diameter_mm: toText(values?.longest_diameter_mm),
    short_axis_mm: toText(values?.short_axis_mm),
    volume_ml: toText(values?.volume_ml, 2),
    state: values?.state ?? "PRESENT",
    role: values?.lesion_role || lesion.role || (isBaseline ? "TARGET" : "NEW"),
  };
}

export function toText(value: number | null | undefined, digits = 1): string {
  return value === null || value === undefined ? "" : value.toFixed(digits);
}

export function toNumber(text: string): number | null {
  const value = Number(text.replace(",", "."));
  return text.trim() === "" || !Number.isFinite(value) ? null : value;
}

/** How a follow-up lies to the baseline: by registration, or by a shift of the table, found or set by hand. */
export interface Link {
  how: "registration" | "table" | "hand" | "off";
  shift: Point;
  map?: ScanMap;
}

export const AT_TABLE: Link = { how: "table", shift: [0, 0, 0] };

/** Where a point of the baseline lies in the follow-up, as far as the link knows. */
export function toFollowUp(link: Link, point: Point): Point {
  return link.map ? link.map.toFollowUp(point) : add(point, link.shift);
}

export function toBaseline(link: Link, point: Point): Point {
  return link.map ? link.map.toBaseline(point) : subtract(point, link.shift);
}

/** How a lesion was found again, where it was not by its label alone. */
export type Basis = "position" | "registration" | "reader";

export interface Proposal {
  lesionId: string;
  basis: "label" | "registration";
  /** Distance from where the baseline line lies, in mm. */
  distance_mm: number | null;
  /** The lesion that lies nearer than the chosen one, if there is one. */
  nearer: { lesionId: string; distance_mm: number } | null;
}

/** Farther apart, two positions say nothing about which lesion it is. */
const NEAR_MM = 30;

/** Which lesion of the baseline a line of the follow-up belongs to: the chosen label, checked by position. */
export function proposeMatch(page: ReadPageAnswer, chosen: string, line: Line | null, link: Link): Proposal {
  const baseline = page.scans[0]?.scan_id ?? "";
  const found = { lesionId: chosen, basis: "label", distance_mm: null, nearer: null } as const;
  if (!line || link.how === "off") return found;
  const middle = toBaseline(link, findMiddle(line));
  const distances = page.marks
    .filter((mark) => mark.scan_id === baseline)
    .flatMap((mark) => {
      const { long } = toLines(mark.values.ends_lps_mm);
      return long ? [{ lesionId: mark.values.lesion_id, distance_mm: norm(subtract(findMiddle(long), middle)) }] : [];
    })
    .sort((one, other) => one.distance_mm - other.distance_mm);
  const own = distances.find((one) => one.lesionId === chosen);
  const nearest = distances[0];
  const nearer = nearest && nearest.lesionId !== chosen && nearest.distance_mm < NEAR_MM && nearest.distance_mm < (own?.distance_mm ?? Number.POSITIVE_INFINITY) ? nearest : null;
  const basis = link.how === "registration" && own && !nearer ? "registration" : "label";
  return { ...found, basis, distance_mm: own?.distance_mm ?? null, nearer };
}

/** Lesions that this read has to do with: marked ones, those of the baseline, and the new ones it found. */
export function listLesions(page: ReadPageAnswer): ReadLesion[] {
  const order: Record<string, number> = { TARGET: 0, "NON-TARGET": 1, "": 2, NEW: 3 };
  return [...page.lesions].sort((one, other) => (order[one.role] ?? 2) - (order[other.role] ?? 2) || one.name.localeCompare(other.name, "en", { numeric: true }));
}
