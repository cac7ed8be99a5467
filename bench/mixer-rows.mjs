// Published timings of linear mixers' kernels beside the seconds of the same operators at their device's data sheet.
import { readFileSync } from "node:fs";
import { devices } from "../dist/hardware/index.js";
import { mixerFloor, mixerRoofline } from "../dist/hardware/mixer-floor.js";
import { chunkedMixers } from "../dist/hardware/mixers.js";
import { readConfig } from "../dist/model/index.js";
import { makePlan } from "../dist/predict/plan.js";
import { engineOf } from "./kernel-fit.mjs";

/** @typedef {import("./hardware-data.mjs").Row} Row */
/** @typedef {import("./kernel-fit.mjs").Timing} Timing */
/** @typedef {Record<string, number>} Shape */

const folder = new URL("../test/data/models/", import.meta.url);
/** @param {string} file @returns {Record<string, any>} */
const config = (file) => JSON.parse(readFileSync(new URL(file, folder), "utf8"));

/** A config with such a mixer, and its shape changed to the timed one. @type {Record<string, (shape: Shape) => Record<string, unknown>>} */
const models = {
  gated_deltanet: ({ k_heads, v_heads, dk, dv }) => {
    const qwen = config("configs/Qwen__Qwen3.5-35B-A3B.json");
    const sizes = { linear_num_key_heads: k_heads, linear_num_value_heads: v_heads, linear_key_head_dim: dk };
    return { ...qwen, text_config: { ...qwen.text_config, ...sizes, linear_value_head_dim: dv } };
  },
  kda: ({ k_heads, dk }) => {
    const kimi = config("class-defaults/kimi_linear.json");
    return { ...kimi, linear_attn_config: { ...kimi.linear_attn_config, num_heads: k_heads, head_dim: dk } };
  },
  mamba2: ({ heads, head_dim, d_state, groups, chunk }) => ({
    ...config("configs/nvidia__NVIDIA-Nemotron-3-Nano-30B-A3B-BF16.json"),
    mamba_num_heads: heads,
    mamba_head_dim: head_dim,
    ssm_state_size: d_state,
    n_groups: groups,
    chunk_size: chunk,
  }),
};

/** `k_heads=16;dk=128` @param {string} text @returns {Shape} */
function shapeOf(text) {
  const shape = Object.fromEntries(
    text
      .split(";")
      .map((part) => part.split("="))
      .map(([key, value]) => [key, Number(value)]),
  );
  const { heads } = shape;
  return { k_heads: heads, v_heads: heads, ...shape };
}

/** @type {Map<string, import("../dist/model/index.js").ModelDescription>} */
const known = new Map();

/** Long chunked prefills that last: the others are launches. */
const large = 2e-4;

/** Rows of whole chunked mixers of models that are described. @param {Row[]} rows @returns {Timing[]} */
export function mixerRows(rows) {
  return rows.flatMap((row) => {
    const record = devices.find(({ name }) => name === row.hw_key);
    const make = models[row.kind ?? ""];
    if (record === undefined || make === undefined || row.phase !== "prefill" || /only/.test(row.kernel ?? ""))
      return [];
    const key = `${row.kind} ${row.shape}`;
    const model = known.get(key) ?? readConfig(make(shapeOf(row.shape ?? "")), "config.json", key);
    known.set(key, model);
    const setting = { variable: /** @type {const} */ ("n"), values: { c: 0, b: Number(row.batch), m: 0 } };
    const [mixer] = chunkedMixers(makePlan(model, record, {}).rows("prefill"), setting);
    if (mixer === undefined) return [];
    const tokens = Number(row.n);
    const seconds = Number(row.ms) / 1000;
    return [
      {
        kind: mixer.kind,
        seconds,
        peak: 0,
        memory: mixerFloor(mixer.rows, record, setting)(tokens),
        roofline: mixerRoofline(mixer.rows, record, setting)(tokens),
        cast: 0,
        m: 0,
        n: 0,
        k: 0,
        queries: tokens,
        heads: 0,
        readers: 0,
        width: 0,
        format: /** @type {const} */ ("16"),
        record,
        device: record.name,
        deviceClass: record.class,
        source: row.source ?? "",
        engine: engineOf(row.version ?? ""),
        group: `${row.shape} ${row.batch}`,
        large: seconds > large,
        tokens,
        timing: null,
      },
    ];
  });
}
