/** What a form may fill in by itself: names of this day and planned amounts; never anything that has to be looked at. */
import { areDatesMoved } from "../../api/dates";
import type { DayDocument, DepositRow, Entry, Needle } from "./day";

interface PlanPuncture {
  id: string;
  needle?: { gauge?: number; name?: string };
}
export interface PlanFacts {
  punctures: PlanPuncture[];
  backups: PlanPuncture[];
}

export function findNeedleIn(day: DayDocument): Needle | undefined {
  return day.needles.find((needle) => needle.is_in);
}

/** The planned deposit that comes next in the needle that is in: deepest first, as planned. */
export function findNextDeposit(day: DayDocument): DepositRow | undefined {
  const needle = findNeedleIn(day);
  if (!needle) return undefined;
  return day.deposits.find((row) => row.puncture_id === needle.puncture_id && row.planned_ml !== null && row.entry_ids.length === 0);
}

/** The next free name of a numbered series, such as ``N2``. */
function nameNext(letter: string, taken: readonly string[]): string {
  let number = 1;
  while (taken.includes(`${letter}${number}`)) number += 1;
  return `${letter}${number}`;
}

/** What each syringe holds, less what entries that still wait have given. */
function listHeld(day: DayDocument, pending: readonly Entry[]): Array<{ name: string; leftMl: number }> {
  return day.syringes
    .map(({ syringe_id, left_ml }) => {
      const given = pending.filter((entry) => entry.values["syringe_id"] === syringe_id && (entry.kind === "deposit" || entry.kind === "discard"));
      return { name: syringe_id, leftMl: given.reduce((left, entry) => left - Number(entry.values["volume_ml"] ?? 0), left_ml) };
    })
    .sort((one, other) => one.leftMl - other.leftMl);
}

/** The syringe in hand if it holds enough; else the smallest that holds all this puncture still needs, else the fullest. */
function findSyringe(day: DayDocument, row: DepositRow, pending: readonly Entry[], entries: readonly Entry[]): string | undefined {
  const held = listHeld(day, pending);
  const open = day.deposits.filter((one) => one.puncture_id === row.puncture_id && one.entry_ids.length === 0);
  const waiting = pending.filter((entry) => entry.kind === "deposit").length;
  const rest = open.slice(waiting).reduce((sum, one) => sum + (one.planned_ml ?? 0), 0);
  const holds = (ml: number) => held.find((one) => one.leftMl >= ml - 1e-9);
  const inHand = [...entries, ...pending].filter((entry) => entry.kind === "deposit").at(-1)?.values["syringe_id"];
  const own = held.find((one) => one.name === inHand);
  if (own && own.leftMl >= (row.planned_ml ?? 0) - 1e-9) return own.name;
  return (holds(Math.max(rest, row.planned_ml ?? 0)) ?? holds(row.planned_ml ?? 0) ?? held.at(-1))?.name;
}

/** The values of a deposit given as planned; leak is looked at, so it is asked. */
export function suggestDeposit(
  day: DayDocument,
  row: DepositRow,
  pending: readonly Entry[] = [],
  entries: readonly Entry[] = [],
): Record<string, unknown> {
  return {
    needle_id: findNeedleIn(day)?.needle_id,
    lesion_id: row.lesion_id,
    syringe_id: findSyringe(day, row, pending, entries),
    volume_ml: row.planned_ml ?? undefined,
    track: row.track ?? undefined,
    order: row.order ?? undefined,
    depth_mm: row.planned_depth_mm === null ? undefined : Math.round(row.planned_depth_mm * 10) / 10,
    stop_reason: "planned_volume_given",
  };
}

export function suggestValues(kind: string, day: DayDocument, entries: readonly Entry[], plan: PlanFacts | undefined): Record<string, unknown> {
  const needle = findNeedleIn(day);
  switch (kind) {
    case "vial": {
      const last = entries.filter((entry) => entry.kind === "vial").at(-1)?.values;
      // Moved days of the log must not be sent again as true ones.
      const dated = areDatesMoved() ? [] : ["expiry_date", "thaw_start"];
      const kept = ["agent", "lot", ...dated, "strength", "strength_unit", "volume_ml", "storage"];
      return {
        vial_id: nameNext("V", day.vials.map((vial) => vial.vial_id)),
        ...Object.fromEntries(kept.map((name) => [name, last?.[name]])),
      };
    }
    case "time_out":
      return { agent: day.agent, lesion_ids: day.lesions.filter((row) => row.planned_ml > 0).map((row) => row.lesion_id) };
    case "draw": {
      const vial = day.vials.find((one) => one.left_ml > 0);
      return { syringe_id: day.syringes.at(-1)?.syringe_id ?? "S1", vial_id: vial?.vial_id, volume_ml: vial?.left_ml };
    }
    case "needle_in": {
      const open = day.deposits.find((row) => row.planned_ml !== null && row.entry_ids.length === 0);
      const planned = plan?.punctures.find((one) => one.id === open?.puncture_id);
      return {
        needle_id: nameNext("N", day.needles.map((one) => one.needle_id)),
        puncture_id: open?.puncture_id,
        gauge: planned?.needle?.gauge,
      };
    }
    case "tip_check":
      return { needle_id: needle?.needle_id, track: 1, modality: "ct" };
    case "deposit": {
      const next = findNextDeposit(day);
      return next ? suggestDeposit(day, next, [], entries) : { needle_id: needle?.needle_id };
    }
    case "needle_out":
      return { needle_id: needle?.needle_id };
    default:
      return {};
  }
}

/** Names of this day that a field may choose from. */
export function listChoices(day: DayDocument, plan: PlanFacts | undefined): Record<string, readonly string[]> {
  const lesions = day.lesions.map((row) => row.lesion_id);
  const into: Record<string, readonly string[]> = { lesion_id: lesions, lesion_ids: lesions };
  const punctures = [...(plan?.punctures ?? []), ...(plan?.backups ?? [])].map((one) => one.id);
  if (punctures.length > 0) into["puncture_id"] = punctures;
  return into;
}
