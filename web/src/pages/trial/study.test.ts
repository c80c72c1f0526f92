import { describe, expect, it } from "vitest";
import { EMPTY, NotUsable, type StudyValues, toForm, toValues } from "./study";

const VALUES: StudyValues = {
  title: "T-VEC in liver tumours",
  study_code: "HEP-1",
  protocol_version: "1.0",
  valid_from_date: "2026-01-01",
  dose_protocol: "tvec-liver-escalation",
  schedule: "tvec-liver",
  schedule_numbers: { "imaging.window": 7 },
  dlt_definition: "tvec-liver",
  dlt_numbers: { window: 28, attribution: "agent or procedure", "evaluable.replace": true },
  dlt_window_days: 28,
  escalation_design: {
    design: "crm",
    target_fraction: 0.25,
    cohort_size: 3,
    delay_days: 0,
    levels: [{ concentration_pfu_per_ml: 1000000, volume_ceiling_ml: 2 }],
    options: { skeleton: [0.1], prior_sd: 1.2 },
    rules: [["stop-at-n", "30"]],
  },
};

describe("a protocol version", () => {
  it("begins a new one with everything but its name and its day, and loses nothing on the way", () => {
    const form = toForm(VALUES);
    expect([form.version, form.validFrom]).toEqual(["", ""]);
    expect(toValues({ ...form, version: "1.0", validFrom: "2026-01-01" })).toEqual(VALUES);
  });

  it("sends no numbers of a schedule or definition that is not named", () => {
    const form = { ...toForm(VALUES), schedule: "", definition: "", design: "", windowDays: "" };
    const sent = toValues(form);
    for (const name of ["schedule_numbers", "dlt_numbers", "escalation_design", "dlt_window_days"]) expect(sent).not.toHaveProperty(name);
  });

  it("says what is wrong with further settings", () => {
    const form = { ...EMPTY, design: "boin", levels: [] };
    for (const more of ["{", "[]", '{"cohort_size": 3}']) expect(() => toValues({ ...form, more })).toThrow(NotUsable);
  });
});
