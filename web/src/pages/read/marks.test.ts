import { describe, expect, it } from "vitest";
import type { ReadPageAnswer } from "./hooks";
import { AT_TABLE, measureLine, proposeMatch, toEnds, toLines, toNumber } from "./marks";
import { toScanMap } from "./scanMap";

function toMark(lesionId: string, x: number) {
  return { measurement_id: lesionId, version: 1, etag: "", scan_id: "s1", values: { lesion_id: lesionId, ends_lps_mm: [[x - 5, 0, 0], [x + 5, 0, 0]] } };
}

const PAGE = { scans: [{ scan_id: "s1" }, { scan_id: "s2" }], marks: [toMark("a", 0), toMark("b", 40)] } as unknown as ReadPageAnswer;

describe("lines of a read", () => {
  it("keep the longest diameter first and the short axis second", () => {
    const long = [[0, 0, 0], [30, 40, 0]] as const;
    const short = [[0, 10, 0], [0, 20, 0]] as const;
    const ends = toEnds(long, short);
    expect(ends).toHaveLength(4);
    expect(toLines(ends)).toEqual({ long, short });
    expect(measureLine(long)).toBe(50);
    expect(toEnds(null, short)).toBeNull();
  });

  it("take a comma for a point, and nothing for nothing", () => {
    expect(toNumber("12,5")).toBe(12.5);
    expect(toNumber(" ")).toBeNull();
    expect(toNumber("x")).toBeNull();
  });
});

describe("the proposed match", () => {
  it("is the chosen label while nothing lies nearer", () => {
    expect(proposeMatch(PAGE, "a", [[-4, 3, 0], [4, 3, 0]], AT_TABLE)).toEqual({ lesionId: "a", basis: "label", distance_mm: 3, nearer: null });
  });

  it("names the lesion that lies nearer", () => {
    expect(proposeMatch(PAGE, "a", [[34, 0, 0], [44, 0, 0]], AT_TABLE).nearer).toEqual({ lesionId: "b", distance_mm: 1 });
  });

  it("is found by registration where one links the scans, and by label where another lies nearer", () => {
    const map = toScanMap({ format: "hepatica-registration-map-1", followup_from_baseline: [[1, 0, 0, 100], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], field: null });
    const link = { how: "registration", shift: [0, 0, 0], map } as const;
    expect(proposeMatch(PAGE, "a", [[96, 2, 0], [104, 2, 0]], link)).toEqual({ lesionId: "a", basis: "registration", distance_mm: 2, nearer: null });
    expect(proposeMatch(PAGE, "a", [[134, 0, 0], [144, 0, 0]], link)).toMatchObject({ basis: "label", nearer: { lesionId: "b" } });
  });

  it("follows the link that was set by hand, and says nothing without one", () => {
    const far = [[134, 0, 0], [144, 0, 0]] as const;
    expect(proposeMatch(PAGE, "a", far, AT_TABLE).nearer).toBeNull();
    expect(proposeMatch(PAGE, "b", far, { how: "hand", shift: [100, 0, 0] }).distance_mm).toBeCloseTo(1);
    expect(proposeMatch(PAGE, "b", far, { how: "off", shift: [0, 0, 0] }).distance_mm).toBeNull();
  });
});
