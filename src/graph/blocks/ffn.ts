import type { DenseFfn, Ffn, MoeFfn, RwkvFfn } from "../../model/types.js";
import type { ModuleBuilder } from "../module.js";

/** Any feed-forward part: [b, n, hidden] → the same. @returns name of the output value */
export function addFfn(module: ModuleBuilder, input: string, ffn: Ffn): string {
  switch (ffn.kind) {
    case "dense":
      return addDense(module, input, ffn);
    case "moe":
      return addMoe(module, input, ffn);
    case "rwkv4-ffn":
      return addRwkv(module, input, ffn);
  }
}

/** A dense feed-forward network: down(act(up(x))), or gated: down(act(gate(x)) · up(x)). */
function addDense(module: ModuleBuilder, input: string, ffn: DenseFfn): string {
  const { hidden } = module.around;
  const { bias, width } = ffn;
  const shareUp = hidden / (ffn.groups?.up ?? 1);
  const shareDown = width / (ffn.groups?.down ?? 1);
  if (!ffn.gated) {
    const up = module.linear("up", input, shareUp, width, { bias });
    return module.linear("down", module.elementwise("activated", ffn.activation, [up]), shareDown, hidden, { bias });
  }
  const gate = module.linear("gate", input, hidden, width, { bias });
  const activated = module.elementwise("activated", ffn.activation, [gate]);
  const up = module.linear("up", input, hidden, width, { bias });
  return module.linear("down", module.elementwise("gated", "multiply", [activated, up]), width, hidden, { bias });
}

/** Mixture of experts: a router's scores choose experts per token; a shared expert sees every token. */
function addMoe(module: ModuleBuilder, input: string, ffn: MoeFfn): string {
  const { hidden } = module.around;
  const { experts, width, latentWidth } = ffn;
  addRouter(module, input, ffn);
  const inner = latentWidth ?? hidden;
  const entered = latentWidth === undefined ? input : module.linear("latent_in", input, hidden, latentWidth);
  const up = ffn.gated ? 2 * width : width;
  const routed = module.add({
    kind: "experts",
    name: module.name("experts"),
    part: "ffn",
    input: entered,
    weights: [
      module.weight("experts.up.weight", [experts, up, inner]),
      module.weight("experts.down.weight", [experts, inner, width]),
    ],
    biases: ffn.bias
      ? [
          module.weight("experts.up.bias", [experts, up], "bias"),
          module.weight("experts.down.bias", [experts, inner], "bias"),
        ]
      : [],
    experts,
    chosen: module.reference && ffn.referenceRunsAll === true ? experts : ffn.chosen,
    ...(ffn.peers === undefined ? {} : { peers: ffn.peers }),
    output: module.value("routed", inner),
  });
  const left = latentWidth === undefined ? routed : leaveLatent(module, routed, latentWidth, ffn.latentNorm === true);
  if (ffn.shared === undefined) return left;
  const shared = addDense(module.within("shared"), input, {
    kind: "dense",
    width: ffn.shared.width,
    gated: ffn.gated,
    activation: ffn.activation,
    bias: false,
  });
  if (!ffn.shared.gate) return module.elementwise("sum", "add", [left, shared]);
  module.linear("shared_gate", input, hidden, 1);
  return module.elementwise("sum", "add", [left, module.elementwise("shared_weighed", "multiply", [shared])]);
}

/** Back from the experts' narrower space, behind a norm where there is one (Kimi K3). */
function leaveLatent(module: ModuleBuilder, routed: string, width: number, normed: boolean): string {
  const { hidden, norm } = module.around;
  const from = normed ? module.normalise("latent_norm", routed, { ...norm, kind: "rms", bias: false }, width) : routed;
  return module.linear("latent_out", from, width, hidden);
}

/** Scores of the experts: one projection, or a small network (Zaya). */
function addRouter(module: ModuleBuilder, input: string, ffn: MoeFfn): void {
  const { hidden, norm } = module.around;
  const choices = ffn.experts + (ffn.idle ?? 0);
  const width = ffn.routerWidth;
  if (width === undefined) {
    module.linear("router", input, hidden, choices, { bias: ffn.routerBias });
    return;
  }
  const down = module.linear("router_down", input, hidden, width, { bias: true });
  const normed = module.normalise("router_norm", down, { ...norm, kind: "rms", bias: false }, width);
  const first = module.linear("router_first", normed, width, width, { bias: true });
  const second = module.linear("router_second", first, width, width, { bias: true });
  module.linear("router", second, width, choices);
}

/** Channel mixing of RWKV (arXiv:2305.13048): value(relu²(key(x))), gated by receptance(x) up to version 6. */
function addRwkv(module: ModuleBuilder, input: string, ffn: RwkvFfn): string {
  const { hidden } = module.around;
  const gated = ffn.ungated !== true;
  const mixed = module.weighted("time_mix", input, {
    time_mix_key: [hidden],
    ...(gated ? { time_mix_receptance: [hidden] } : {}),
  });
  const key = module.linear("key", mixed, hidden, ffn.width);
  const value = module.linear("value", module.elementwise("activated", "relu2", [key]), ffn.width, hidden);
  if (!gated) return value;
  const receptance = module.linear("receptance", mixed, hidden, hidden);
  return module.elementwise("gated", "multiply", [value, receptance]);
}
