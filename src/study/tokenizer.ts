import * as library from "@huggingface/tokenizers";

/** The part of the library's tokenizer that is used. */
export interface Tokenizer {
  encode(text: string, options?: { readonly add_special_tokens: boolean }): { readonly ids: readonly number[] };
  decode(ids: readonly number[], options: { readonly skip_special_tokens: boolean }): string;
}

/** From the contents of tokenizer.json and tokenizer_config.json. */
export function makeTokenizer(content: object, config: object): Tokenizer {
  // The library's declarations do not resolve as modules of Node do, so its class is stated here.
  const { Tokenizer: Made } = library as unknown as { Tokenizer: new (content: object, config: object) => Tokenizer };
  return new Made(content, config);
}
