import { describe, expect, test } from "vitest";
import { bytes, parameterCount, percent, scientific, seconds, si, significant, tokens } from "./format.js";

describe("numbers for people", () => {
  test.each([
    [134_515_008, "135M"],
    [8_030_261_248, "8.03B"],
    [1_026_000_000_000, "1.03T"],
    [960, "960"],
    [999_900_000, "1B"],
  ])("%d parameters are %s", (value, text) => {
    expect(parameterCount(value)).toBe(text);
  });

  test.each([
    [212_371_200, "2.12e8"],
    [34_560, "3.46e4"],
    [675, "675"],
    [0, "0"],
    [-5e-7, "-5e-7"],
  ])("%d is written %s", (value, text) => {
    expect(scientific(value)).toBe(text);
  });

  test.each([
    [0, "0 s"],
    [3.2e-8, "32 ns"],
    [0.0123, "12.3 ms"],
    [0.99996, "1 s"],
    [1.988, "1.99 s"],
    [119.7, "2 min 0 s"],
    [125, "2 min 5 s"],
    [7300, "2.03 h"],
    [1e6, "11.6 days"],
  ])("%d seconds are %s", (value, text) => {
    expect(seconds(value)).toBe(text);
  });

  test("minutes never show sixty seconds", () => {
    expect(seconds(179.7)).toBe("3 min 0 s");
  });

  test("lengths use k = 1024 only where it is exact", () => {
    expect([512, 1024, 8192, 1_048_576, 6145, 1500].map(tokens)).toEqual(["512", "1k", "8k", "1M", "6,145", "1,500"]);
  });

  test("rates use k = 1000, bytes 1024", () => {
    expect(si(3.9e11, "FLOP/s")).toBe("390 GFLOP/s");
    expect(si(999_960, "FLOP/s")).toBe("1 MFLOP/s");
    expect(bytes(22.5 * 1024)).toBe("22.5 KiB");
    expect(bytes(512)).toBe("512 B");
    expect(percent(0.1234)).toBe("12 %");
    expect(significant(Number.POSITIVE_INFINITY)).toBe("Infinity");
  });
});
