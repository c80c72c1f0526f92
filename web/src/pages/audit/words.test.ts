import { describe, expect, it } from "vitest";
import { toListWords, toWords } from "./words";

describe("a change of the trail in words", () => {
  it("tells of a list only what differs, and how many entries before it stayed", () => {
    expect(toListWords([], ["c", "d"], 2)).toBe("2 entries kept; added c, d");
    expect(toListWords(["b"], ["c"], 1)).toBe("1 entry kept; removed b; added c");
    expect(toListWords([{ n: 1 }], [], 3)).toBe('3 entries kept; removed {"n":1}');
  });

  it("names roles and sites without brackets", () => {
    expect(toWords(["reader_1", "x"])).toBe("reader_1, x");
    expect(toWords([])).toBe("none");
  });

  it("counts entries that are too many to show", () => {
    const many = Array.from({ length: 40 }, (_, index) => `entry-${index}`);
    expect(toListWords([], many, 1)).toMatch(/^1 entry kept; added 40: entry-0, .*…$/);
  });

  it("says that nothing was set", () => {
    expect(toWords(null)).toBe("not set");
  });
});
