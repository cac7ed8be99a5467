export interface Rotary {
  /** Dimensions of each head that are rotated; even, at most the key dimension. */
  readonly dims: number;
  readonly theta: number;
  /** Pairs are neighbours (GPT-J) rather than halves (NeoX, Llama). */
  readonly interleaved: boolean;
  /** How frequencies are stretched beyond the context of training; it costs nothing. */
  readonly scaling?: RotaryScaling;
}

/** Scalings of rotary frequencies that depend on nothing but the config. `original` is the context of training, in tokens. */
export type RotaryScaling =
  /** All by the same factor (position interpolation, arXiv:2306.15595). */
  | { readonly kind: "linear"; readonly factor: number }
  /** Wavelengths above original / low by the factor, those below original / high not at all (Llama 3.1). */
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly low: number;
      readonly high: number;
      readonly original: number;
    }
  /** A ramp between dimensions that turn `slow` and `fast` times in training; what is rotated is `amplitude` times as long (YaRN, arXiv:2309.00071). */
  | {
      readonly kind: "yarn";
      readonly factor: number;
      readonly fast: number;
      readonly slow: number;
      readonly original: number;
      readonly amplitude: number;
      /** The ramp begins and ends at whole dimensions. */
      readonly whole: boolean;
    };
