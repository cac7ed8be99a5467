import type { MoeFfn, Norm } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { elementTypes, int, string } from "../proto.js";
import type { Around } from "./around.js";
import { activated, addGated } from "./gated.js";

/**
 * Mixture of experts. The router's best `chosen` scores become weights; only experts that some token chose
 * run, each over its own tokens. The expert that every token passes is added, with a sigmoid gate where it has one.
 */
export function addMoe(e: Emitter, input: string, ffn: MoeFfn, { hidden, norm }: Around): string {
  const { chosen, latentWidth } = ffn;
  const inner = latentWidth ?? hidden;
  const apart = normedApart(e, hidden, norm);
  const raw = e.linear("router", apart?.scored ?? input);
  const [scores = "", experts = ""] = e.nodes("TopK", [raw, e.list([chosen])], 2, { axis: int(-1) });
  const entered = latentWidth === undefined ? (apart?.entered ?? input) : e.linear("latent_in", input);
  const tokens = e.reshape(entered, [-1, inner]);
  const shares = sharesOf(e, { raw, scores, experts }, ffn.router);
  const scaled = apart === null ? shares : e.multiply(shares, e.node("Gather", [apart.scale, experts]));
  const weights = e.reshape(scaled, [-1, chosen]);
  const choices = { tokens, weights, experts: e.reshape(experts, [-1, chosen]) };
  const worked = addExperts(e, choices, ffn);
  const routed = ffn.idle === undefined ? worked : e.add(worked, addIdle(e, choices, ffn.experts));
  const back = e.node("Reshape", [routed, e.node("Shape", [entered])]);
  const weighed =
    ffn.latentNorm === true ? e.rms(back, e.weight("latent_norm.weight", norm.offset), norm.epsilon) : back;
  const left = latentWidth === undefined ? weighed : e.linear("latent_out", weighed);
  if (ffn.shared === undefined) return left;
  const up = e.linear("shared.up", input);
  const raised = ffn.gated
    ? addGated(e, e.linear("shared.gate", input), up, { activation: ffn.activation, clamp: ffn.shared.clamp })
    : activated(e, ffn.activation, up);
  const shared = e.linear("shared.down", raised);
  return e.add(left, ffn.shared.gate ? e.multiply(shared, e.sigmoid(e.linear("shared_gate", input))) : shared);
}

/** Weights of the chosen experts, by what they scored among all. */
function sharesOf(
  e: Emitter,
  { raw, scores, experts }: Readonly<Record<"raw" | "scores" | "experts", string>>,
  router: MoeFfn["router"],
): string {
  if (router === undefined) return e.softmax(scores);
  const each = ((): string => {
    if (router.scores === "sigmoid") return e.sigmoid(scores);
    if (router.scores === "sqrtsoftplus") return e.node("Sqrt", [e.node("Softplus", [scores])]);
    return router.normalised
      ? e.softmax(scores)
      : e.node("GatherElements", [e.softmax(raw), experts], { axis: int(-1) });
  })();
  // The softmax of the chosen alone adds up to 1 as it is.
  const sums = router.normalised && router.scores !== "softmax";
  const shares = sums ? e.node("Div", [each, e.node("ReduceSum", [each, e.list([-1])], { keepdims: int(1) })]) : each;
  return e.scale(shares, router.scale);
}

/**
 * Gemma 4's experts stand beside a dense network and read the stream by norms of their own: the router without
 * parameters, then scaled by channel and over √hidden. Its weights of the experts are scaled once more. Null elsewhere.
 */
function normedApart(
  e: Emitter,
  hidden: number,
  { epsilon }: Norm,
): { readonly scored: string; readonly entered: string; readonly scale: string } | null {
  const { scope } = e;
  if (!scope.hasWeight("extra.expert_norms")) return null;
  const stream = scope.value("mixer.sum");
  const [, before = ""] = e.rows(scope.parameter("extra.expert_norms"), 3);
  return {
    scored: e.rms(stream, e.scale(scope.parameter("extra.router_scale"), hidden ** -0.5), epsilon),
    entered: e.rms(stream, before, epsilon),
    scale: scope.parameter("extra.expert_scale"),
  };
}

interface Routed {
  /** [tokens, inner]. */
  readonly tokens: string;
  /** [tokens, chosen] both. */
  readonly weights: string;
  readonly experts: string;
}

/** One round for each expert that was chosen at all: its tokens are gathered, pass it, and are added back. */
function addExperts(
  e: Emitter,
  { tokens, weights, experts }: Routed,
  { gated, activation, clamp, width, bias, idle, experts: count }: MoeFfn,
): string {
  const { builder } = e.scope;
  const [used = ""] = e.nodes("Unique", [experts], 1, { sorted: int(1) });
  const nothing = e.multiply(tokens, builder.scalar(0));
  // Choices that do nothing have the highest numbers.
  const rounds = idle === undefined ? e.length(used, 0) : countBelow(e, used, count);
  const [sum = ""] = e.loop(e.alone(rounds), [{ value: nothing, rank: 2 }], (index, [before = ""]) => {
    const expert = e.node("Gather", [used, index]);
    const places = e.transpose(e.node("NonZero", [e.node("Equal", [experts, expert])]), [1, 0]);
    const rows = e.slice(places, 1, 0, 1);
    const own = (name: string): string => e.node("Gather", [e.weight(name), expert]);
    const biased = (x: string, name: string): string => (bias ? e.add(x, own(`experts.${name}.bias`)) : x);
    const up = biased(e.pickedProduct(e.node("GatherND", [tokens, rows]), "experts.up.weight", expert), "up");
    let raised: string;
    if (gated) {
      const [gate = "", value = ""] = e.split(up, [width, width]);
      raised = addGated(e, gate, value, { activation, clamp });
    } else {
      raised = activated(e, activation, up);
    }
    const down = biased(e.pickedProduct(raised, "experts.down.weight", expert), "down");
    const share = e.node("Unsqueeze", [e.node("GatherND", [weights, places]), e.list([1])]);
    const added = e.node("ScatterND", [before, rows, e.multiply(down, share)], { reduction: string("add") });
    return { carried: [added], stacked: [] };
  });
  return sum;
}

/** How many numbers of a list are below another, int64 [1]. */
function countBelow(e: Emitter, list: string, bound: number): string {
  const below = e.node("Less", [list, e.scope.builder.integers([bound])]);
  return e.node("ReduceSum", [e.node("Cast", [below], { to: int(elementTypes.int64) }), e.list([0])], {
    keepdims: int(1),
  });
}

/** What choices beyond the experts hand on: the token itself, by their weight (LongCat-Flash). */
function addIdle(e: Emitter, { tokens, weights, experts }: Routed, count: number): string {
  const beyond = e.node("GreaterOrEqual", [experts, e.scope.builder.integers([count])]);
  const shares = e.node("Where", [beyond, weights, e.scope.builder.scalar(0)]);
  return e.multiply(tokens, e.node("ReduceSum", [shares, e.list([1])], { keepdims: int(1) }));
}
