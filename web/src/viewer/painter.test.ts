import { describe, expect, it } from "vitest";
import { type Layout, lay, paintGreys, paintOverlay, toGreys } from "./painter";

const PLAIN: Layout = { count: [3, 3, 3], step: [1, 3, 9], start: 0 };
/** The same voxels stored from the last along x to the first. */
const TURNED: Layout = { count: [3, 3, 3], step: [-1, 3, 9], start: 2 };

describe("colours of voxels", () => {
  it("follow the window: black below, white above, grey by half between", () => {
    const greys = toGreys(-100, 100, 1, 0);
    expect(greys[-200 & 0xffff]).toBe(0xff000000);
    expect(greys[200]).toBe(0xffffffff);
    expect([127, 128]).toContain((greys[0] ?? 0) & 255);
    expect(toGreys(-100, 100, 2, -1024)[562]).toBe(greys[100]);
  });

  it("lie where the file says, whichever way it counts", () => {
    const values = Int16Array.from({ length: 27 }, (_, n) => n);
    const greys = Uint32Array.from({ length: 1 << 16 }, (_, n) => n);
    const out = new Uint32Array(9);
    paintGreys(out, values, PLAIN, greys, 1, 1);
    expect([...out.slice(0, 3)]).toEqual([9, 10, 11]);
    paintGreys(out, values, TURNED, greys, 1, 1);
    expect([...out.slice(0, 3)]).toEqual([11, 10, 9]);
  });

  it("outline a label where a neighbour differs, fill it faintly, and hide what has no colour", () => {
    const labels = new Uint8Array(27).fill(1);
    labels[0] = 2;
    const overlay = { colours: Uint32Array.from([0, 0xff112233, 0]), fill: 40, outline: 217 };
    const out = new Uint32Array(27);
    paintOverlay(out, labels, PLAIN, overlay, null, 0, 3);
    expect(out[0]).toBe(0);
    expect(out[1]).toBe(((217 << 24) | 0x112233) >>> 0);
    expect(out[26]).toBe(((40 << 24) | 0x112233) >>> 0);
  });

  it("lay a spread over labels, and alone where there are none", () => {
    const spread = { values: new Uint8Array(27).fill(50), layout: PLAIN, colours: new Uint32Array(256).fill(0x80ffffff) };
    const out = new Uint32Array(9);
    paintOverlay(out, new Uint8Array(27), PLAIN, { colours: new Uint32Array(2), fill: 40, outline: 217 }, spread, 0, 1);
    expect(out[4]).toBe(0x80ffffff);
    expect(lay(0xff0000ff, 0xff00ff00)).toBe(0xff0000ff);
    expect(lay(0, 0x40112233)).toBe(0x40112233);
  });
});
