import { describe, expect, it } from "vitest";
import { change, day, percent, quantity } from "./numbers";

describe("numbers for people", () => {
  it("carry their unit and the digits of the measurement", () => {
    expect(quantity(49.14, "mm")).toBe("49.1\u202fmm");
    expect(quantity(3.999, "mL")).toBe("4.00\u202fmL");
    expect(quantity(-12.4, "°")).toBe("\u221212°");
  });

  it("do not print a minus before nothing", () => {
    expect(quantity(-0.04, "mm")).toBe("0.0\u202fmm");
  });

  it("say why a number cannot be given, and a dash where there is none", () => {
    expect(quantity({ not_evaluable: "the scan ends there" }, "mm")).toBe("n/e: the scan ends there");
    expect(quantity(null, "mm")).toBe("–");
  });

  it("never round a small risk to none or a large one to certainty", () => {
    expect(percent(0.001)).toBe("<\u202f1\u202f%");
    expect(percent(0)).toBe("0\u202f%");
    expect(percent(0.9999)).toBe(">\u202f99\u202f%");
    expect(percent(1)).toBe("100\u202f%");
  });

  it("sign changes", () => {
    expect(change(-0.304)).toBe("\u221230\u202f%");
    expect(change(0.12)).toBe("+12\u202f%");
    expect(change(0.001)).toBe("0\u202f%");
  });

  it("write days so that nobody takes the day for the month", () => {
    expect(day("2026-03-04")).toBe("4\u202fMar\u202f2026");
    expect(day("2026-03")).toBe("2026-03");
  });
});
