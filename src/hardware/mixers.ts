import type { Seconds } from "../base/units.js";
import type { OperatorCost } from "../cost/table.js";
import type { Block } from "../graph/types.js";
import type { Engine } from "./engine.js";
import { kernelOn } from "./kernel-lookup.js";
import type { MixerKind } from "./kernel-rows.js";
import { mixerSeconds } from "./kernels.js";
import { mixerFloor } from "./mixer-floor.js";
import { type OperatorTime, type Setting, classOf } from "./operator-time.js";
import type { DeviceRecord } from "./record.js";

/** The operators of a chunked mixer that published kernels compute together. */
export interface ChunkedMixer {
  readonly kind: MixerKind;
  readonly rows: readonly OperatorCost[];
}

/** `mixer.pairs` belongs to `mixer`. */
const moduleOf = (name: string): string => name.slice(0, name.lastIndexOf("."));

/**
 * The chunked mixers among the operators of a prefill: batched products beside a scan of a state, which engines run as one
 * chain of kernels.
 */
export function chunkedMixers(rows: readonly OperatorCost[], { variable }: Setting): ChunkedMixer[] {
  if (variable !== "n") return [];
  const found = new Map<Block, Map<string, OperatorCost[]>>();
  for (const row of rows) {
    const { kind, output } = row.operator;
    if ((kind !== "product" && kind !== "scan") || row.block.states.size === 0) continue;
    const modules = found.get(row.block) ?? new Map<string, OperatorCost[]>();
    found.set(row.block, modules);
    const name = moduleOf(output);
    const known = modules.get(name);
    if (known === undefined) modules.set(name, [row]);
    else known.push(row);
  }
  return [...found].flatMap(([block, modules]) =>
    [...modules].flatMap(([name, members]): ChunkedMixer[] => {
      const has = (kind: string): boolean => members.some(({ operator }) => operator.kind === kind);
      const inside = members.some(({ operator }) => operator.output === `${name}.inside`);
      return has("scan") && has("product") && inside ? [{ kind: kindOf(block, name, members), rows: members }] : [];
    }),
  );
}

function kindOf(block: Block, name: string, members: readonly OperatorCost[]): MixerKind {
  if (!members.some(({ operator }) => operator.output === `${name}.key_pairs`)) return "decay";
  const decays = block.operators.flatMap((operator) => (operator.kind === "weighted" ? [operator.weights] : []));
  const sizes = (decays.find((weights) => weights.includes(`${name}.decay_base`)) ?? []).map(
    (weight) => block.weights.get(weight)?.shape[0] ?? 1,
  );
  return Math.max(...sizes) > Math.min(...sizes) ? "delta-channels" : "delta-heads";
}

/** Times of a mixer's operators: the chain's seconds in equal parts, so that it is as long as it was timed. */
export function mixerTimes(
  { kind, rows }: ChunkedMixer,
  device: DeviceRecord,
  setting: Setting,
  engine: Engine,
): Map<OperatorCost, OperatorTime> {
  const { fit } = kernelOn(kind, device, engine.kernels, "bfloat16");
  const floor = mixerFloor(rows, device, setting);
  let at = Number.NaN;
  let known: Seconds = 0;
  const chain = (length: number): Seconds => {
    if (length !== at) {
      at = length;
      known = mixerSeconds(fit, floor(length), length) / rows.length;
    }
    return known;
  };
  return new Map(
    rows.map((row, index) => {
      const operators = classOf(row, setting);
      const factor = engine.factors[operators] ?? 1;
      return [
        row,
        {
          class: operators,
          overhead: index === 0 ? fit.overhead * (engine.factors.overhead ?? 1) : 0,
          work: (length) => chain(length) * factor,
          bound: () => "bandwidth" as const,
        },
      ];
    }),
  );
}
