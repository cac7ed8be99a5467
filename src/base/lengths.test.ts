import { describe, expect, test } from "vitest";
import { NsquaredError } from "./errors.js";
import { parseLength, parseLengths } from "./lengths.js";

describe("parseLengths", () => {
  test("doubles through a range", () => {
    expect(parseLengths("128..1k")).toEqual([128, 256, 512, 1024]);
    expect(parseLengths("128..128k")).toHaveLength(11);
  });

  test("ends a range where it says, even if doubling misses it", () => {
    expect(parseLengths("100..1000")).toEqual([100, 200, 400, 800, 1000]);
  });

  test("reads lists, k as 1024, M as 1024² and fractions of them", () => {
    expect(parseLengths("512, 1k,1.5k,2K,1M")).toEqual([512, 1024, 1536, 2048, 1048576]);
  });

  test("mixes lists and ranges", () => {
    expect(parseLengths("64,128..512,700")).toEqual([64, 128, 256, 512, 700]);
  });

  test.each([
    ["1k,512", "lengths-order", "ascending lengths, but 512 follows 1024"],
    ["512,512", "lengths-order", "ascending"],
    ["1k..128", "lengths-order", "shorter length first"],
    ["128..128", "lengths-order", "shorter length first"],
    ["abc", "length-invalid", '"abc"'],
    ["", "length-invalid", "whole number of tokens"],
    ["128,,256", "length-invalid", "whole number of tokens"],
    ["-5", "length-invalid", '"-5"'],
    ["0", "length-invalid", '"0"'],
    ["1.7", "length-invalid", '"1.7"'],
    ["1e6", "length-invalid", '"1e6"'],
    ["1..2..3", "length-invalid", "from..to"],
    ["9999999M", "length-invalid", "2^40"],
    ["Infinity", "length-invalid", "Infinity"],
  ])("refuses %j with one line that says what would be right", (text, code, message) => {
    let error: unknown = null;
    try {
      parseLengths(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(NsquaredError);
    if (!(error instanceof NsquaredError)) return;
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(error.message).toMatch(/^--lengths: /);
    expect(error.message).not.toContain("\n");
    expect(error.exitCode).toBe(2);
  });

  test("names the option that was given", () => {
    expect(() => parseLength("x", "--depth")).toThrow(/^--depth: length is "x"/);
  });
});
