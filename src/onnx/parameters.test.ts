import { describe, expect, test } from "vitest";
import type { Weight } from "../graph/types.js";
import { ParameterLayout } from "./parameters.js";
import type { WeightSource } from "./weights.js";

function weight(...shape: number[]): Weight {
  return { shape, dtype: "float32", init: "matrix" };
}

/** Fills each parameter with the length of its name. */
const byName: WeightSource = {
  read: (name, _weight, target) => {
    target.fill(name.length);
    return Promise.resolve();
  },
};

async function contents(layout: ParameterLayout): Promise<Record<string, number[]>> {
  const files = await layout.load(byName);
  const entries = layout.initializers().map(({ name, data }) => {
    if (data instanceof Uint8Array) throw new Error("expected an external file");
    const file = files.find(({ path }) => path === data.path);
    if (file === undefined) throw new Error(`no file ${data.path}`);
    return [name, [...new Float32Array(file.data.buffer, data.offset, data.length / 4)]];
  });
  return Object.fromEntries(entries);
}

describe("parameter layout", () => {
  test("keeps a parameter that is asked for twice once", async () => {
    const layout = new ParameterLayout();
    const part = { name: "embedding.table", weight: weight(3, 2), offset: false };
    expect(layout.parameter(part)).toBe(layout.parameter(part));
    expect(layout.initializers()).toHaveLength(1);
    expect(layout.bytes).toBe(24);
    expect(await contents(layout)).toEqual({ "embedding.table": Array<number>(6).fill(15) });
  });

  test("stacks parameters along the first dimension, with zeros where there is none", async () => {
    const layout = new ParameterLayout();
    layout.stacked("both", [
      { name: "ab", weight: weight(1, 2), offset: false },
      { name: null, weight: weight(1, 2), offset: false },
      { name: "abc", weight: weight(2, 2), offset: false },
    ]);
    expect(layout.initializers()[0]?.shape).toEqual([4, 2]);
    expect(await contents(layout)).toEqual({ both: [2, 2, 0, 0, 3, 3, 3, 3] });
  });

  test("exchanges rows and columns of matrices side by side, and of each of several in one parameter", async () => {
    const counted: WeightSource = {
      read: (_name, _weight, target) => {
        target.forEach((_, index) => {
          target[index] = index;
        });
        return Promise.resolve();
      },
    };
    const layout = new ParameterLayout();
    const part = (...shape: number[]) => ({ name: "any", weight: weight(...shape), offset: false });
    layout.turned("both", [part(2, 3), { ...part(1, 3), offset: true }]);
    layout.turned("experts", [part(2, 2, 3)]);
    layout.turned("tall", [part(70, 2)]);
    layout.turned("half", [part(2, 3)], "float16");
    expect(layout.initializers().map(({ name, type, shape }) => [name, type, shape])).toEqual([
      ["both.turned", "float32", [3, 3]],
      ["experts.turned", "float32", [2, 3, 2]],
      ["tall.turned", "float32", [2, 70]],
      ["half.f16", "float16", [3, 2]],
    ]);
    const [file] = await layout.load(counted);
    const [both, experts, tall, half] = layout.initializers().map(({ data }) => {
      if (data instanceof Uint8Array || file === undefined) throw new Error("expected an external file");
      return file.data.buffer.slice(data.offset, data.offset + data.length);
    });
    expect([...new Float32Array(both as ArrayBuffer)]).toEqual([0, 3, 1, 1, 4, 2, 2, 5, 3]);
    expect([...new Float32Array(experts as ArrayBuffer)]).toEqual([0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
    const rows = Array.from({ length: 70 }, (_, row) => 2 * row);
    expect([...new Float32Array(tall as ArrayBuffer)]).toEqual([...rows, ...rows.map((value) => value + 1)]);
    expect([...new Uint16Array(half as ArrayBuffer)]).toEqual([0, 0x4200, 0x3c00, 0x4400, 0x4000, 0x4500]);
  });

  test("adds one to what is stored as an offset", async () => {
    const layout = new ParameterLayout();
    layout.parameter({ name: "ab", weight: weight(2), offset: true });
    expect(await contents(layout)).toEqual({ ab: [3, 3] });
  });

  test("cuts files near 1 GiB and gives a larger tensor a file of its own", () => {
    const layout = new ParameterLayout();
    const half = 2 ** 27;
    for (const [name, size] of [
      ["half", half],
      ["other half", half],
      ["more", 16],
      ["large", 3 * half],
      ["last", 16],
    ] as const) {
      layout.parameter({ name, weight: weight(size), offset: false });
    }
    const places = layout.initializers().map(({ data }) => (data instanceof Uint8Array ? null : data));
    expect(places.map((place) => place?.path)).toEqual([0, 0, 1, 2, 3].map((file) => `weights.${file}.bin`));
    expect(places.map((place) => place?.offset)).toEqual([0, 2 ** 29, 0, 0, 0]);
  });

  test("refuses a tensor that ONNX Runtime would not take", () => {
    const layout = new ParameterLayout();
    expect(() => layout.parameter({ name: "table", weight: weight(2 ** 20, 2 ** 12), offset: false })).toThrow(
      /^table: size is "16 GiB"; ONNX Runtime takes tensors of at most 2 GiB from memory; a smaller --vocabulary/,
    );
  });

  test("tabulates rotary angles by position and frequency", async () => {
    const layout = new ParameterLayout();
    layout.rotary({ function: "cos", positions: 2, dims: 4, theta: 100 });
    layout.rotary({ function: "sin", positions: 2, dims: 4, theta: 100 });
    const tables = await contents(layout);
    const expected = {
      "rotary.cos.4.100": [1, 1, Math.cos(1), Math.cos(0.1)],
      "rotary.sin.4.100": [0, 0, Math.sin(1), Math.sin(0.1)],
    };
    for (const [name, values] of Object.entries(expected)) {
      values.forEach((value, index) => expect(tables[name]?.[index]).toBeCloseTo(value, 6));
    }
  });
});
