/** What the plan page reads of ``plan.json`` and of the session's answers; the server's schemas are the truth. */
import type { components } from "../../api/schema";
import type { Answer } from "../../ui/numbers";

export type Scene = components["schemas"]["Scene"];

export interface Finding {
  rule: string;
  severity: "info" | "warning" | "error";
  message: string;
  measured: number | string | null;
  limit: number | string | null;
  unit: string;
  source: string;
  status: string | null;
  subject: string;
}

export interface Chance {
  p: number;
  low: number;
  high: number;
}

export interface Deposit {
  point_lps_mm: number[];
  volume_ml: number;
  lesion_id: string;
  order: number;
}

export interface Track {
  tip_lps_mm: number[];
  length_mm: number;
  deposits: Deposit[];
}

export interface Run {
  from_mm: number;
  to_mm: number;
  tissue: string;
  structure: string | null;
  mean_hu: number;
}

export interface Clearance {
  structure: string;
  clearance_mm: Answer;
  margin_mm: number;
  run_out_mm: Answer;
  derived: boolean;
  status: string;
}

export interface Risk {
  lower_bound: boolean;
  unverified: boolean;
  draws: number;
  p_any_touched: Chance;
  p_any_within_margin: Chance;
  p_tip_in_target: Chance;
  expected_ml_in_target: { mean_ml: number; standard_error_ml: number; planned_ml: number };
}

export interface Puncture {
  id: string;
  lesion_ids: string[];
  entry_lps_mm: number[];
  length_mm: number;
  in_plane_angle_deg: Answer;
  craniocaudal_angle_deg: number;
  capsule_angle_deg: Answer;
  liver_before_lesion_mm: number;
  clearances: Clearance[];
  runs: Run[];
  pivot_lps_mm: number[] | null;
  tracks: Track[];
  needle: { name: string; gauge: number; length_mm: number; outer_diameter_mm: number; dead_space_ml: number };
  findings: Finding[];
  risk?: Risk;
}

export interface Injection {
  lesion_id: string;
  rank: number;
  volume_ml: number;
  rule_volume_ml: number;
  dose: Answer;
  dose_unit: string;
  undelivered_ml: number;
  undelivered_reason: string;
  rule: string;
  source: string;
  status: string;
  reason: string;
}

export interface LesionPath {
  lesion_id: string;
  best: string | null;
  backup: string | null;
  alternatives?: Puncture[];
  findings: Finding[];
}

export interface PlanDocument {
  /** Why it is none of a real patient; only in the demonstration's cohort. */
  simulated?: string;
  plan_id: string;
  status: "cleared" | "not_cleared";
  missing_structures: string[];
  declared_absent: string[];
  visit: number;
  protocol: { name: string; title: string; agent: string; notices: string[] };
  lesions: Array<{ id: string; label: string; longest_diameter_mm: Answer; volume_ml: number; depth_mm: Answer; centroid_lps_mm: number[]; is_new: boolean | null }>;
  injections: Injection[];
  allocation: { total_ml: number; draw_up_ml: number; findings: Finding[] };
  punctures: Puncture[];
  backups: Puncture[];
  paths: LesionPath[];
  findings: Finding[];
}

export interface DoseChange {
  lesion_id: string;
  volume_ml: number;
  reason: string;
}

export interface AcceptedStructure {
  structure: string;
  accepted_by: string;
}

/** A drawing of this page, for a new plan to use. */
export interface Drawn {
  scanId: string;
  /** The label's name. */
  name: string;
  /** What it takes the place of; empty for something new. */
  redraws: string;
}

export interface PlanValues {
  scan_id: string;
  visit_number: number;
  status: string;
  files: Record<string, string>;
  request?: Record<string, unknown>;
  chosen_punctures?: string[] | null;
  dose_changes?: DoseChange[] | null;
  accepted_structures?: AcceptedStructure[] | null;
}

/** One path that can be shown: of the plan, or dragged. */
export interface Choice {
  key: string;
  role: "first choice" | "backup" | "alternative";
  lesionId: string;
  puncture: Puncture;
}

export interface SessionAnswer {
  puncture: Puncture;
  undelivered_ml: number;
  findings: Finding[];
}

/** Every path of the plan, in the order in which people think of them. */
export function listChoices(plan: PlanDocument): Choice[] {
  const toChoices = (punctures: Puncture[], role: Choice["role"]): Choice[] =>
    punctures.map((puncture) => ({ key: puncture.id, role, lesionId: puncture.lesion_ids[0] ?? "", puncture }));
  const others = plan.paths.flatMap((path) =>
    (path.alternatives ?? []).map((puncture, number) => ({
      key: `${path.best ?? path.lesion_id}a${number + 1}`,
      role: "alternative" as const,
      lesionId: path.lesion_id,
      puncture,
    })),
  );
  return [...toChoices(plan.punctures, "first choice"), ...toChoices(plan.backups, "backup"), ...others];
}

/** Every finding of the plan, each once, errors first. */
export function listFindings(plan: PlanDocument): Finding[] {
  const all = [
    ...plan.findings,
    ...plan.allocation.findings,
    ...plan.paths.flatMap((path) => path.findings),
    ...plan.punctures.flatMap((one) => one.findings),
    ...plan.backups.flatMap((one) => one.findings),
  ];
  const once = new Map(all.map((one) => [`${one.rule}|${one.subject}|${one.message}|${one.measured}`, one]));
  const order = { error: 0, warning: 1, info: 2 };
  return [...once.values()].sort((one, other) => order[one.severity] - order[other.severity]);
}

/** The volume planned for a lesion, as a person has changed it. */
export function findVolume(plan: PlanDocument, changes: readonly DoseChange[], lesionId: string): number {
  const changed = changes.findLast((one) => one.lesion_id === lesionId);
  return changed?.volume_ml ?? plan.injections.find((one) => one.lesion_id === lesionId)?.volume_ml ?? 0;
}
