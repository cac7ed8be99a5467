import type { ConfigReader } from "./config-reader.js";

/** What the class in `architectures` does with a model's hidden states. */
export type Purpose = "language-model" | "bare" | "classification";

/** Name of the class that the file was written for, or null. */
export function className(config: ConfigReader): string | null {
  const architectures = config.raw("architectures");
  return Array.isArray(architectures) && typeof architectures[0] === "string" ? architectures[0] : null;
}

export function purposeOf(config: ConfigReader): Purpose {
  const name = className(config);
  if (name === null) {
    config.fill("architectures", "a language-model head", "assumed: the file names no class");
    return "language-model";
  }
  if (/(Classification|MultipleChoice|QuestionAnswering)$/.test(name)) return "classification";
  // Classes of wrappers that generate, whatever they are called.
  if (/(LMHead|Chat|Omni)Model$/.test(name)) return "language-model";
  if (/(Model|Encoder)$/.test(name)) return "bare";
  return "language-model";
}
