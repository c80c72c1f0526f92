/** Surfaces and needles in three dimensions. */
import { NVMesh, Niivue, SLICE_TYPE } from "@niivue/niivue";
import { type Point, add, cross, norm, scale, subtract } from "./space";

export interface Surface {
  name: string;
  /** LPS mm triples. */
  points: Float32Array;
  triangles: Uint32Array;
  rgba: readonly [number, number, number, number];
  /** A colour for each point instead of one for all. */
  perPoint?: Uint8Array;
}

export interface Line {
  name: string;
  from: Point;
  to: Point;
  radius_mm: number;
  rgba: readonly [number, number, number, number];
}

const SIDES = 10;

export class Surfaces {
  private readonly nv: Niivue;
  private readonly canvas: HTMLCanvasElement;
  private held = new Map<string, NVMesh>();

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
    this.nv = new Niivue({
      backColor: [0.043, 0.055, 0.067, 1],
      isOrientCube: true,
      show3Dcrosshair: false,
      isColorbar: false,
      dragAndDropEnabled: false,
      logLevel: "error",
    } as ConstructorParameters<typeof Niivue>[0]);
  }

  async open(): Promise<void> {
    await this.nv.attachToCanvas(this.canvas, false);
    this.nv.setSliceType(SLICE_TYPE.RENDER);
    // From the patient's front, a little from his right and from above.
    this.nv.setRenderAzimuthElevation(160, 15);
  }

  /** Show surfaces and lines; what was shown under the same name before is replaced, all else goes. */
  show(surfaces: readonly Surface[], lines: readonly Line[]): void {
    const gl = this.nv.gl;
    if (!gl) return;
    for (const mesh of this.held.values()) this.nv.removeMesh(mesh);
    this.held.clear();
    const all = [...surfaces, ...lines.map(toTube)];
    // What is opaque comes first: what lies behind glass is drawn before the glass.
    all.sort((one, other) => other.rgba[3] - one.rgba[3]);
    for (const one of all) {
      const points = new Float32Array(one.points.length);
      for (let n = 0; n < points.length; n += 3) {
        points[n] = -(one.points[n] ?? 0);
        points[n + 1] = -(one.points[n + 1] ?? 0);
        points[n + 2] = one.points[n + 2] ?? 0;
      }
      const colour = one.perPoint ?? new Uint8Array([one.rgba[0], one.rgba[1], one.rgba[2], 255]);
      const mesh = new NVMesh(points, one.triangles, one.name, colour, one.rgba[3] / 255, true, gl);
      this.nv.addMesh(mesh);
      this.held.set(one.name, mesh);
    }
    this.nv.drawScene();
  }

  turn(azimuth: number, elevation: number): void {
    this.nv.setRenderAzimuthElevation(azimuth, elevation);
  }

  close(): void {
    this.nv.cleanup?.();
    this.nv.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

function toTube(line: Line): Surface {
  const way = subtract(line.to, line.from);
  const length = norm(way) || 1;
  const along = scale(way, 1 / length);
  const helper: Point = Math.abs(along[2]) < 0.9 ? [0, 0, 1] : [1, 0, 0];
  const one = cross(along, helper);
  const first = scale(one, line.radius_mm / norm(one));
  const other = cross(along, first);
  const points: number[] = [];
  const triangles: number[] = [];
  for (let n = 0; n < SIDES; n += 1) {
    const angle = (2 * Math.PI * n) / SIDES;
    const out = add(scale(first, Math.cos(angle)), scale(other, Math.sin(angle)));
    points.push(...add(line.from, out), ...add(line.to, out));
    const [a, b] = [2 * n, 2 * n + 1];
    const [c, d] = [(2 * n + 2) % (2 * SIDES), (2 * n + 3) % (2 * SIDES)];
    triangles.push(a, c, b, b, c, d);
  }
  const [start, end] = [2 * SIDES, 2 * SIDES + 1];
  points.push(...line.from, ...line.to);
  for (let n = 0; n < SIDES; n += 1) {
    triangles.push(start, (2 * n + 2) % (2 * SIDES), 2 * n, end, 2 * n + 1, (2 * n + 3) % (2 * SIDES));
  }
  return { name: line.name, points: new Float32Array(points), triangles: new Uint32Array(triangles), rgba: line.rgba };
}

/** Small discs on the skin, one for each point, in its colour. */
export function toDiscs(name: string, points: Float32Array, normals: Float32Array, radii: Float32Array, colours: Uint8Array): Surface {
  const count = points.length / 3;
  const corners = 6;
  const out = new Float32Array(count * corners * 3);
  const rgba = new Uint8Array(count * corners * 4);
  const triangles = new Uint32Array(count * (corners - 2) * 3);
  for (let n = 0; n < count; n += 1) {
    const at: Point = [points[3 * n] ?? 0, points[3 * n + 1] ?? 0, points[3 * n + 2] ?? 0];
    const up: Point = [normals[3 * n] ?? 0, normals[3 * n + 1] ?? 0, normals[3 * n + 2] ?? 1];
    const helper: Point = Math.abs(up[2]) < 0.9 ? [0, 0, 1] : [1, 0, 0];
    const one = cross(up, helper);
    const first = scale(one, (radii[n] ?? 1) / (norm(one) || 1));
    const other = cross(up, first);
    const middle = add(at, scale(up, 0.5));
    for (let corner = 0; corner < corners; corner += 1) {
      const angle = (2 * Math.PI * corner) / corners;
      const point = add(middle, add(scale(first, Math.cos(angle)), scale(other, Math.sin(angle))));
      out.set(point, (n * corners + corner) * 3);
      rgba.set(colours.subarray(4 * n, 4 * n + 4), (n * corners + corner) * 4);
    }
    for (let corner = 1; corner < corners - 1; corner += 1) {
      triangles.set([n * corners, n * corners + corner, n * corners + corner + 1], (n * (corners - 2) + corner - 1) * 3);
    }
  }
  return { name, points: out, triangles, rgba: [255, 255, 255, 255], perPoint: rgba };
}

