/** Numbers for people: always with their unit, never with digits that nobody measured. */

/** An answer that a number could not be given, with the reason. */
export interface NotEvaluable {
  not_evaluable: string;
}

export type Answer = number | NotEvaluable | null | undefined;

/** Decimal places by unit: what the measurement carries. */
const DIGITS: Record<string, number> = {
  mm: 1,
  ml: 2,
  mL: 2,
  "°": 0,
  HU: 0,
  s: 0,
  min: 0,
  h: 1,
  days: 0,
  "%": 0,
  "mL/min": 1,
};

/** A thin space that does not break: number and unit stay together. */
const GAP = "\u202f";
const MINUS = "\u2212";

export function isNotEvaluable(answer: unknown): answer is NotEvaluable {
  return typeof answer === "object" && answer !== null && "not_evaluable" in answer;
}

/** ``49.14`` and ``"mm"`` as ``49.1 mm``; what cannot be judged as ``n/e: reason``; nothing as an en dash. */
export function quantity(answer: Answer, unit: string, digits?: number): string {
  if (isNotEvaluable(answer)) return `n/e: ${answer.not_evaluable}`;
  if (answer === null || answer === undefined || Number.isNaN(answer)) return "–";
  const places = digits ?? DIGITS[unit] ?? 1;
  const rounded = Math.abs(answer).toFixed(places);
  const sign = answer < 0 && Number(rounded) !== 0 ? MINUS : "";
  const tight = unit === "°" || unit === "%";
  return `${sign}${rounded}${unit ? `${tight ? "" : GAP}${unit}` : ""}`;
}

/** ``0.034`` as ``3 %``; what is under half a percent but not nothing as ``< 1 %``. */
export function percent(fraction: Answer, digits = 0): string {
  if (typeof fraction !== "number") return quantity(fraction, "");
  const least = 10 ** -digits;
  const value = fraction * 100;
  if (value > 0 && value < least / 2) return `<${GAP}${least.toFixed(digits)}${GAP}%`;
  if (value < 100 && value > 100 - least / 2) return `>${GAP}${(100 - least).toFixed(digits)}${GAP}%`;
  return `${value.toFixed(digits)}${GAP}%`;
}

/** A signed change, such as ``+12 %`` or ``−30 %``. */
export function change(fraction: Answer): string {
  if (typeof fraction !== "number") return quantity(fraction, "");
  const value = Math.round(fraction * 100);
  return `${value > 0 ? "+" : value < 0 ? MINUS : ""}${Math.abs(value)}${GAP}%`;
}

/** ``2026-11-23`` as ``23 Nov 2026``: no reader takes the day for the month. */
export function day(text: string | null | undefined): string {
  if (!text) return "–";
  const [year, month, date] = text.slice(0, 10).split("-").map(Number);
  if (!year || !month || !date) return text;
  const name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month - 1];
  return `${date}${GAP}${name}${GAP}${year}`;
}

/** Date and time of an instant, in the zone of the browser, which it names. */
export function instant(text: string | null | undefined): string {
  if (!text) return "–";
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return text;
  const own = new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString();
  return `${day(own)} ${own.slice(11, 16)}`;
}

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** ``2e8`` and ``"PFU"`` as ``2 × 10⁸ PFU``; amounts of virus are said in powers. */
export function power(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined || !(value > 0)) return "–";
  const exponent = Math.floor(Math.log10(value) + 1e-9);
  const factor = Number((value / 10 ** exponent).toPrecision(3));
  const raised = String(exponent).replace("-", "⁻").replace(/\d/g, (digit) => RAISED[Number(digit)] ?? digit);
  return `${factor === 1 ? "" : `${factor}${GAP}×${GAP}`}10${raised}${GAP}${unit}`;
}
