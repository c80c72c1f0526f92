/** Where a point of one scan lies in the other, by a registration that the server keeps: an affine map, and a field. */
import { type Point, add, norm, subtract } from "../../viewer/space";

/** As the server keeps it; see the reference. */
export interface MapAnswer {
  format: string;
  followup_from_baseline: number[][];
  field: { shape_ijk: number[]; lps_from_ijk: number[][]; unit_mm: number; displacement: string } | null;
}

export interface ScanMap {
  toFollowUp: (point: Point) => Point;
  toBaseline: (point: Point) => Point;
}

type Affine = readonly (readonly number[])[];

const FORMAT = "hepatica-registration-map-1";
/** Steps of the way back: a field that does not fold gains on each, and ends long before. */
const STEPS = 60;
const ENOUGH_MM = 1e-4;

/** The map of an answer; y = A (x + u(x)), u linear between its nodes and constant beyond them. */
export function toScanMap(answer: MapAnswer): ScanMap {
  if (answer.format !== FORMAT) throw new Error(`a map of another form: ${answer.format}`);
  const there = answer.followup_from_baseline;
  const back = invert(there);
  const bend = answer.field ? toField(answer.field) : null;
  return {
    toFollowUp: (point) => apply(there, bend ? add(point, bend(point)) : point),
    toBaseline: (point) => {
      const straight = apply(back, point);
      if (!bend) return straight;
      let found = subtract(straight, bend(straight));
      for (let step = 0; step < STEPS; step += 1) {
        const next = subtract(straight, bend(found));
        const moved = norm(subtract(next, found));
        found = next;
        if (moved < ENOUGH_MM) break;
      }
      return found;
    },
  };
}

function toField(held: NonNullable<MapAnswer["field"]>): (point: Point) => Point {
  const [ni = 1, nj = 1, nk = 1] = held.shape_ijk;
  const bytes = Uint8Array.from(atob(held.displacement), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const toIndex = invert(held.lps_from_ijk);
  const last = [ni - 1, nj - 1, nk - 1] as const;
  return (point) => {
    const at = apply(toIndex, point).map((value, axis) => Math.min(Math.max(value, 0), last[axis] ?? 0)) as unknown as Point;
    const low = at.map((value, axis) => Math.min(Math.floor(value), Math.max((last[axis] ?? 0) - 1, 0))) as unknown as Point;
    const sum: [number, number, number] = [0, 0, 0];
    for (let corner = 0; corner < 8; corner += 1) {
      let weight = 1;
      let offset = 0;
      for (let axis = 0; axis < 3; axis += 1) {
        const up = (corner >> axis) & 1;
        const share = (at[axis] ?? 0) - (low[axis] ?? 0);
        weight *= up ? share : 1 - share;
        const index = Math.min((low[axis] ?? 0) + up, last[axis] ?? 0);
        offset = offset * ([ni, nj, nk][axis] ?? 1) + index;
      }
      if (weight === 0) continue;
      for (let part = 0; part < 3; part += 1) sum[part] = (sum[part] ?? 0) + weight * view.getInt16(2 * (3 * offset + part), true);
    }
    return [sum[0] * held.unit_mm, sum[1] * held.unit_mm, sum[2] * held.unit_mm];
  };
}

function apply(matrix: Affine, [x, y, z]: Point): Point {
  const row = (n: number) => {
    const [a = 0, b = 0, c = 0, d = 0] = matrix[n] ?? [];
    return a * x + b * y + c * z + d;
  };
  return [row(0), row(1), row(2)];
}

/** The inverse of an affine map without mirroring. */
function invert(matrix: Affine): Affine {
  const at = (i: number, j: number) => matrix[i]?.[j] ?? 0;
  const minor = (i: number, j: number) => {
    const [a, b] = [(i + 1) % 3, (i + 2) % 3];
    const [c, d] = [(j + 1) % 3, (j + 2) % 3];
    return at(a, c) * at(b, d) - at(a, d) * at(b, c);
  };
  const size = at(0, 0) * minor(0, 0) + at(0, 1) * minor(0, 1) + at(0, 2) * minor(0, 2);
  const turn = [0, 1, 2].map((i) => [0, 1, 2].map((j) => minor(j, i) / size));
  return turn.map((row) => [...row, -row.reduce((sum, value, j) => sum + value * at(j, 3), 0)]);
}
