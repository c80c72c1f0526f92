/** Units as people write them, by the ending that names of numbers carry. */
const UNITS: ReadonlyArray<readonly [string, string]> = [
  ["_ml_per_min", "mL/min"],
  ["_pfu_per_ml", "PFU/mL"],
  ["_1e9_per_l", "10⁹/L"],
  ["_g_per_dl", "g/dL"],
  ["_per_min", "/min"],
  ["_mm3", "mm³"],
  ["_mm2", "mm²"],
  ["_mm", "mm"],
  ["_ml", "mL"],
  ["_mmhg", "mmHg"],
  ["_percent", "%"],
  ["_celsius", "°C"],
  ["_kpa", "kPa"],
  ["_deg", "°"],
  ["_hu", "HU"],
  ["_days", "days"],
  ["_min", "min"],
  ["_h", "h"],
  ["_s", "s"],
];

/** ``volume_ml`` is in ``mL``; empty for a name without a unit. */
export function unitOf(name: string): string {
  return UNITS.find(([ending]) => name.endsWith(ending))?.[1] ?? "";
}
