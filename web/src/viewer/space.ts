/** Points and planes. Everything of the program is LPS in millimetres; the viewer's files are RAS. */

export type Point = readonly [number, number, number];

export function toPoint(values: readonly number[]): Point {
  return [values[0] ?? 0, values[1] ?? 0, values[2] ?? 0];
}

/** LPS to RAS and back: the same step. */
export function flip(point: Point): Point {
  return [-point[0], -point[1], point[2]];
}

export function add(a: Point, b: Point): Point {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
}

export function subtract(a: Point, b: Point): Point {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

export function scale(a: Point, factor: number): Point {
  return [a[0] * factor, a[1] * factor, a[2] * factor];
}

export function dot(a: Point, b: Point): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

export function cross(a: Point, b: Point): Point {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

export function norm(a: Point): number {
  return Math.sqrt(dot(a, a));
}

export type PlaneName = "axial" | "coronal" | "sagittal";

/** One plane as it lies on the page: where its picture is, and which way millimetres run in it. */
export interface Tile {
  plane: PlaneName;
  /** Picture on the page, in CSS pixels from the canvas' corner. */
  left: number;
  top: number;
  width: number;
  height: number;
  /** LPS of the picture's upper left corner, and LPS millimetres per pixel to the right and down. */
  origin: Point;
  right: Point;
  down: Point;
}

export interface Placed {
  x: number;
  y: number;
  /** Signed distance from the plane, in mm. */
  off: number;
}

/** Where a point lies in a plane's picture. */
export function place(tile: Tile, point: Point): Placed {
  const way = subtract(point, tile.origin);
  const across = cross(tile.right, tile.down);
  return {
    x: tile.left + dot(way, tile.right) / dot(tile.right, tile.right),
    y: tile.top + dot(way, tile.down) / dot(tile.down, tile.down),
    off: dot(way, across) / norm(across),
  };
}

/** The point of the plane under a place of the picture, kept as far off the plane as it was. */
export function lift(tile: Tile, x: number, y: number, off: number): Point {
  const across = cross(tile.right, tile.down);
  const inPlane = add(tile.origin, add(scale(tile.right, x - tile.left), scale(tile.down, y - tile.top)));
  return add(inPlane, scale(across, off / norm(across)));
}

/** Which side of the patient a direction points to: L, R, A, P, H, F. */
export function toSide(direction: Point): string {
  const [x, y, z] = direction;
  const sizes = [Math.abs(x), Math.abs(y), Math.abs(z)];
  const most = sizes.indexOf(Math.max(...sizes));
  if (most === 0) return x > 0 ? "L" : "R";
  if (most === 1) return y > 0 ? "P" : "A";
  return z > 0 ? "H" : "F";
}

export interface Sides {
  left: string;
  right: string;
  top: string;
  bottom: string;
}

/** The letters at the four edges of a plane's picture. */
export function toSides(tile: Tile): Sides {
  return {
    left: toSide(scale(tile.right, -1)),
    right: toSide(tile.right),
    top: toSide(scale(tile.down, -1)),
    bottom: toSide(tile.down),
  };
}
