import { describe, expect, it } from "vitest";
import { type Point, norm, subtract } from "../../viewer/space";
import { type MapAnswer, toScanMap } from "./scanMap";

const SHIFTED = [[0, -1, 0, 5], [1, 0, 0, -7], [0, 0, 1, 40], [0, 0, 0, 1]];
const SHAPE = [7, 6, 5] as const;
const STEP_MM = 10;
const UNIT_MM = 0.01;

/** A field that is linear in space, so that what lies between its nodes is known: u = S x. */
function bendAt([x, y, z]: Point): Point {
  return [0.1 * x - 0.05 * z, 0.04 * y + 0.06 * x, 0.02 * z + 3];
}

function makeMap(): MapAnswer {
  const bytes = new DataView(new ArrayBuffer(SHAPE[0] * SHAPE[1] * SHAPE[2] * 3 * 2));
  let at = 0;
  for (let i = 0; i < SHAPE[0]; i += 1)
    for (let j = 0; j < SHAPE[1]; j += 1)
      for (let k = 0; k < SHAPE[2]; k += 1)
        for (const part of bendAt([i * STEP_MM - 30, j * STEP_MM - 20, k * STEP_MM - 20])) {
          bytes.setInt16(at, Math.round(part / UNIT_MM), true);
          at += 2;
        }
  const text = Array.from(new Uint8Array(bytes.buffer), (byte) => String.fromCharCode(byte)).join("");
  return {
    format: "hepatica-registration-map-1",
    followup_from_baseline: SHIFTED,
    field: { shape_ijk: [...SHAPE], lps_from_ijk: [[STEP_MM, 0, 0, -30], [0, STEP_MM, 0, -20], [0, 0, STEP_MM, -20], [0, 0, 0, 1]], unit_mm: UNIT_MM, displacement: btoa(text) },
  };
}

function turn([x, y, z]: Point): Point {
  return [5 - y, x - 7, z + 40];
}

describe("the map between two scans", () => {
  it("turns and shifts as the affine part says, and back", () => {
    const map = toScanMap({ format: "hepatica-registration-map-1", followup_from_baseline: SHIFTED, field: null });
    expect(map.toFollowUp([1, 2, 3])).toEqual([3, -6, 43]);
    expect(norm(subtract(map.toBaseline([3, -6, 43]), [1, 2, 3]))).toBeLessThan(1e-9);
  });

  it("bends as the closed form between the nodes, and comes back to where it began", () => {
    const map = toScanMap(makeMap());
    for (const point of [[0, 0, 0], [-29, 21, 13], [17.3, -14.2, -19.9], [29.9, 29.9, 19.9]] as Point[]) {
      const [x, y, z] = bendAt(point);
      const expected = turn([point[0] + x, point[1] + y, point[2] + z]);
      expect(norm(subtract(map.toFollowUp(point), expected))).toBeLessThan(2 * UNIT_MM);
      expect(norm(subtract(map.toBaseline(map.toFollowUp(point)), point))).toBeLessThan(1e-3);
    }
  });

  it("goes on beyond the field with the displacement of its face", () => {
    const map = toScanMap(makeMap());
    const [x, y, z] = bendAt([30, 0, 0]);
    expect(norm(subtract(map.toFollowUp([500, 0, 0]), turn([500 + x, y, z])))).toBeLessThan(2 * UNIT_MM);
  });

  it("refuses a map of another form", () => {
    expect(() => toScanMap({ format: "other", followup_from_baseline: SHIFTED, field: null })).toThrow("form");
  });
});
