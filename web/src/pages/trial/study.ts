/** A protocol version as a form, and as the record keeps it. */
import { useQuery } from "@tanstack/react-query";
import { client, unwrap } from "../../api/client";
import type { components } from "../../api/schema";

export type Choices = components["schemas"]["StudyChoices"];
export type OpenPlace = components["schemas"]["OpenPlace"];

export interface StudyValues {
  title: string;
  study_code?: string;
  protocol_version: string;
  valid_from_date: string;
  dose_protocol: string;
  schedule?: string;
  schedule_numbers?: Record<string, unknown>;
  dlt_definition?: string;
  dlt_numbers?: Record<string, unknown>;
  dlt_window_days?: number;
  escalation_design?: Record<string, unknown>;
}

export interface Level {
  concentration: string;
  volume: string;
}

/** Everything as text, as it stands in the fields. */
export interface StudyForm {
  title: string;
  code: string;
  version: string;
  validFrom: string;
  dose: string;
  schedule: string;
  scheduleNumbers: Record<string, string>;
  definition: string;
  definitionNumbers: Record<string, string>;
  windowDays: string;
  design: string;
  target: string;
  cohort: string;
  delay: string;
  skeleton: string;
  levels: Level[];
  /** Options, rules and populations of the design, as JSON. */
  more: string;
}

const NO_LEVEL: Level = { concentration: "", volume: "" };

export const EMPTY: StudyForm = {
  title: "", code: "", version: "", validFrom: "", dose: "", schedule: "", scheduleNumbers: {}, definition: "", definitionNumbers: {},
  windowDays: "", design: "", target: "", cohort: "", delay: "", skeleton: "", levels: [NO_LEVEL], more: "",
};

/** The place of a definition for the window, which is also a field of the version. */
export const WINDOW = "window";

/** What JSON of the design may name beside the fields. */
const FURTHER = ["options", "rules", "populations"];

export function useStudyChoices() {
  return useQuery({
    queryKey: ["study-choices"],
    queryFn: () => unwrap(client.GET("/api/study-choices")),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** Ask whether a version could be used as it is meant. */
export async function checkStudy(values: Record<string, unknown>): Promise<string[]> {
  return (await unwrap(client.POST("/api/study-check", { body: { values } }))).problems;
}

/** Begin a new version with what the last one says, all but its name and its day. */
export function toForm(last: StudyValues | undefined): StudyForm {
  if (!last) return EMPTY;
  const design = last.escalation_design ?? {};
  const { skeleton, ...options } = (design["options"] ?? {}) as Record<string, unknown>;
  const more: Record<string, unknown> = { ...pick(design, FURTHER), ...(Object.keys(options).length > 0 ? { options } : {}) };
  if (Object.keys(options).length === 0) delete more["options"];
  const levels = Array.isArray(design["levels"]) ? (design["levels"] as Array<Record<string, unknown>>) : [];
  return {
    ...EMPTY,
    title: last.title,
    code: last.study_code ?? "",
    dose: last.dose_protocol,
    schedule: last.schedule ?? "",
    scheduleNumbers: toTexts(last.schedule_numbers),
    definition: last.dlt_definition ?? "",
    definitionNumbers: toTexts(last.dlt_numbers),
    windowDays: text(last.dlt_window_days),
    design: text(design["design"]),
    target: text(design["target_fraction"]),
    cohort: text(design["cohort_size"]),
    delay: text(design["delay_days"]),
    skeleton: Array.isArray(skeleton) ? skeleton.join(", ") : "",
    levels: levels.length > 0 ? levels.map((one) => ({ concentration: text(one["concentration_pfu_per_ml"]), volume: text(one["volume_ceiling_ml"]) })) : [NO_LEVEL],
    more: Object.keys(more).length > 0 ? JSON.stringify(more, null, 2) : "",
  };
}

/** Return what is sent; throws a sentence where the JSON of the design is none. */
export function toValues(form: StudyForm): Record<string, unknown> {
  const window = form.definition ? form.definitionNumbers[WINDOW] || form.windowDays : form.windowDays;
  return dropEmpty({
    title: form.title.trim(),
    study_code: form.code.trim(),
    protocol_version: form.version.trim(),
    valid_from_date: form.validFrom,
    dose_protocol: form.dose,
    schedule: form.schedule,
    schedule_numbers: form.schedule ? toNumbers(form.scheduleNumbers) : {},
    dlt_definition: form.definition,
    dlt_numbers: form.definition ? toNumbers(form.definitionNumbers) : {},
    // What is no number is refused where the definition is checked.
    dlt_window_days: window && Number.isInteger(Number(window)) ? Number(window) : "",
    escalation_design: form.design ? toDesign(form) : {},
  });
}

function toDesign(form: StudyForm): Record<string, unknown> {
  const more = readMore(form.more);
  const options = {
    ...((more["options"] ?? {}) as Record<string, unknown>),
    ...(form.skeleton.trim() ? { skeleton: form.skeleton.split(",").map((one) => Number(one)) } : {}),
  };
  return dropEmpty({
    ...more,
    design: form.design,
    target_fraction: form.target ? Number(form.target) : "",
    cohort_size: form.cohort ? Number(form.cohort) : "",
    delay_days: form.delay ? Number(form.delay) : "",
    levels: form.levels.map((one) => ({ concentration_pfu_per_ml: Number(one.concentration), volume_ceiling_ml: Number(one.volume) })),
    options,
  });
}

/** Read what stands in the field for JSON. */
export function readMore(written: string): Record<string, unknown> {
  if (!written.trim()) return {};
  let found: unknown;
  try {
    found = JSON.parse(written);
  } catch {
    throw new NotUsable("the further settings of the design: expected JSON");
  }
  if (typeof found !== "object" || found === null || Array.isArray(found)) throw new NotUsable("the further settings of the design: expected a JSON object");
  const strange = Object.keys(found).find((key) => !FURTHER.includes(key));
  if (strange) throw new NotUsable(`the further settings of the design: expected ${FURTHER.join(", ")}, not ${strange}`);
  return found as Record<string, unknown>;
}

/** What stands in the form and cannot be sent. */
export class NotUsable extends Error {}

/** A place that takes yes or no is kept as such, numbers as numbers, other words as they are. */
function toNumbers(texts: Record<string, string>): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(texts)) {
    const written = value.trim();
    if (written === "") continue;
    found[key] = written === "true" || written === "false" ? written === "true" : Number.isNaN(Number(written)) ? written : Number(written);
  }
  return found;
}

function toTexts(numbers: Record<string, unknown> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(numbers ?? {}).map(([key, value]) => [key, String(value)]));
}

function text(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

function pick(values: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => names.includes(name)));
}

function dropEmpty(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== "" && !(typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0)),
  );
}
