import { describe, expect, it } from "vitest";
import { type Tile, flip, lift, place, toSides } from "./space";

const AXIAL: Tile = {
  plane: "axial",
  left: 10,
  top: 20,
  width: 200,
  height: 100,
  origin: [-100, -50, 30],
  right: [1, 0, 0],
  down: [0, 1, 0],
};
const SAGITTAL: Tile = { ...AXIAL, plane: "sagittal", origin: [5, -50, 80], right: [0, 0.5, 0], down: [0, 0, -0.5] };

describe("planes on the page", () => {
  it("puts the patient's left on the right of the axial picture and his back at the bottom", () => {
    expect(toSides(AXIAL)).toEqual({ left: "R", right: "L", top: "A", bottom: "P" });
    const marker = place(AXIAL, [40, 0, 30]);
    const middle = place(AXIAL, [0, 0, 30]);
    expect(marker.x).toBeGreaterThan(middle.x);
  });

  it("puts the head on top of the sagittal picture", () => {
    expect(toSides(SAGITTAL)).toEqual({ left: "A", right: "P", top: "H", bottom: "F" });
  });

  it("comes back to the point it came from, also off the plane", () => {
    for (const tile of [AXIAL, SAGITTAL]) {
      const point = [12.5, -7.25, 44] as const;
      const at = place(tile, point);
      const back = lift(tile, at.x, at.y, at.off);
      back.forEach((value, axis) => expect(value).toBeCloseTo(point[axis] ?? 0, 9));
    }
  });

  it("turns LPS to RAS and back", () => {
    expect(flip(flip([1, 2, 3]))).toEqual([1, 2, 3]);
    expect(flip([1, 2, 3])).toEqual([-1, -2, 3]);
  });
});
