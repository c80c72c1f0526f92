import { describe, expect, it } from "vitest";
import type { DayDocument, DepositRow, Entry } from "./day";
import { suggestDeposit, suggestValues } from "./suggest";

const ROW: DepositRow = {
  key: "P1/1/1",
  lesion_id: "L1",
  puncture_id: "P1",
  track: 1,
  order: 1,
  entry_ids: [],
  planned_ml: 0.5,
  given_ml: 0,
  leaked_ml: 0,
  planned_depth_mm: 97.64,
  depth_mm: null,
  stop_reason: "",
};
const DAY = {
  agent: "agent",
  phase: "needle_in",
  deposits: [1, 2, 3, 4].map((order) => ({ ...ROW, key: `P1/1/${order}`, order })),
  lesions: [],
  needles: [{ needle_id: "N1", puncture_id: "P1", is_in: true }],
  syringes: [
    { syringe_id: "S1", left_ml: 2.1 },
    { syringe_id: "S2", left_ml: 0.6 },
  ],
  vials: [{ vial_id: "V1", lot: "A", drawn_ml: 1, left_ml: 0 }],
} as unknown as DayDocument;

function give(syringe: string): Entry {
  return { entry_id: syringe, kind: "deposit", occurred_at: "", values: { syringe_id: syringe, volume_ml: 0.5 } };
}

describe("what a form fills in by itself", () => {
  it("takes the smallest syringe that holds all this puncture needs", () => {
    expect(suggestDeposit(DAY, ROW)["syringe_id"]).toBe("S1");
  });

  it("counts what waits for the connection as out of the syringe", () => {
    const pending = [give("S1"), give("S1"), give("S1"), give("S1")];
    expect(suggestDeposit(DAY, ROW, pending)["syringe_id"]).toBe("S2");
  });

  it("stays with the syringe in hand while it holds enough", () => {
    expect(suggestDeposit(DAY, ROW, [], [give("S2")])["syringe_id"]).toBe("S2");
    expect(suggestDeposit(DAY, ROW, [give("S2")])["syringe_id"]).toBe("S1");
  });

  it("never fills in what has to be looked at", () => {
    expect(suggestDeposit(DAY, ROW)).not.toHaveProperty("leak");
  });

  it("names vials and needles on", () => {
    expect(suggestValues("vial", DAY, [], undefined)["vial_id"]).toBe("V2");
    expect(suggestValues("needle_in", DAY, [], undefined)["needle_id"]).toBe("N2");
  });
});
