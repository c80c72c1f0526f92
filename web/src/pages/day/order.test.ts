import { describe, expect, it } from "vitest";
import type { Item } from "../../api/items";
import { byVisit } from "./order";

describe("the days of a patient", () => {
  it("stand in the order of visits, however the record lists them", () => {
    const listed = [10, 4, 1, 5].map((visit_number) => ({ values: { visit_number } }) as Item<{ visit_number: number }>);
    expect(byVisit(listed).map((one) => one.values.visit_number)).toEqual([1, 4, 5, 10]);
    expect(listed[0]?.values.visit_number).toBe(10);
  });
});
