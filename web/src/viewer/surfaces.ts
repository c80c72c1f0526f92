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
/** The torso fills its corner. */
const ENLARGED = 1.5;

export class Surfaces {
  private readonly nv: Niivue;
  private readonly canvas: HTMLCanvasElement;
  private surfaces: NVMesh[] = [];
  private lines: NVMesh[] = [];

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
    this.nv.setScale(ENLARGED);
  }

  /** Show these surfaces in place of those before. */
  showSurfaces(surfaces: readonly Surface[]): void {
    this.drop(this.surfaces);
    // What is opaque comes first: what lies behind glass is drawn before the glass.
    this.surfaces = [...surfaces].sort((one, other) => other.rgba[3] - one.rgba[3]).map((one) => this.toMesh(one));
    this.draw();
  }

  /** Show these lines in place of those before. */
  showLines(lines: readonly Line[]): void {
    this.drop(this.lines);
    this.lines = lines.map((line) => this.toMesh(toTube(line)));
    this.draw();
  }

  private draw(): void {
    this.nv.meshes = [...this.lines, ...this.surfaces];
    this.nv.updateGLVolume();
  }

  private drop(meshes: readonly NVMesh[]): void {
    for (const mesh of meshes) mesh.unloadMesh(this.nv.gl);
  }

  private toMesh(surface: Surface): NVMesh {
    const points = new Float32Array(surface.points.length);
    for (let n = 0; n < points.length; n += 3) {
      points[n] = -(surface.points[n] ?? 0);
      points[n + 1] = -(surface.points[n + 1] ?? 0);
      points[n + 2] = surface.points[n + 2] ?? 0;
    }
    const [r, g, b, alpha] = surface.rgba;
    const colour = surface.perPoint ?? new Uint8Array([r, g, b, 255]);
    return new NVMesh(points, surface.triangles, surface.name, colour, alpha / 255, true, this.nv.gl);
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

