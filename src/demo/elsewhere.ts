import type { Quirk } from "./quirks.js";

interface Served {
  readonly model: string;
  readonly contextLimit: number;
}

/** What servers say of themselves on paths of their own, beside those of the API. */
const pages: readonly { readonly quirk: Quirk; readonly path: string; readonly of: (served: Served) => unknown }[] = [
  {
    quirk: "llama-props",
    path: "/props",
    of: ({ contextLimit }) => ({ build_info: "b6000-demo", default_generation_settings: { n_ctx: contextLimit } }),
  },
  {
    quirk: "tgi-info",
    path: "/info",
    of: ({ model, contextLimit }) => ({
      model_id: model,
      version: "3.3.6-demo",
      max_input_tokens: contextLimit - 1,
      max_total_tokens: contextLimit,
    }),
  },
  { quirk: "ollama-ps", path: "/api/version", of: () => ({ version: "0.12.0-demo" }) },
  {
    quirk: "ollama-ps",
    path: "/api/ps",
    of: ({ model, contextLimit }) => ({ models: [{ name: model, model, context_length: contextLimit }] }),
  },
  {
    quirk: "lm-studio-models",
    path: "/api/v0/models",
    of: ({ model, contextLimit }) => ({
      data: [{ id: model, state: "loaded", max_context_length: 4 * contextLimit, loaded_context_length: contextLimit }],
    }),
  },
];

/** What a path of some server's own answers; undefined where there is none. */
export function elsewhere(path: string, has: (quirk: Quirk) => boolean, served: Served): unknown {
  return pages.find((page) => page.path === path && has(page.quirk))?.of(served);
}

/** Whether the context limit is named there instead of beside the model. */
export function namesElsewhere(has: (quirk: Quirk) => boolean): boolean {
  return pages.some(({ quirk }) => has(quirk));
}
