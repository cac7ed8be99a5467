import { Template } from "@huggingface/jinja";
import { NsquaredError, badInput } from "../base/errors.js";
import type { OpenBeside } from "../files/beside.js";
import { readText } from "../files/byte-source.js";

export interface Turn {
  readonly system: string | null;
  readonly user: string;
}

/** Longest template that is read; the longest in use have some thirty thousand characters. */
const longestTemplate = 1024 * 1024;

/**
 * What a chat model wants to see of one user's turn: its own template (Jinja, in tokenizer_config.json or
 * chat_template.jinja) up to where its answer begins.
 *
 * @param config contents of tokenizer_config.json
 * @throws NsquaredError `no-chat-template`, `bad-chat-template`
 */
export async function chatText(
  open: OpenBeside,
  config: Readonly<Record<string, unknown>>,
  { system, user }: Turn,
  where: string,
): Promise<string> {
  const template = (await templateBeside(open)) ?? templateIn(config["chat_template"]);
  if (template === null) {
    throw badInput("no-chat-template", {
      where,
      key: "chat_template",
      expected:
        "a template in tokenizer_config.json or chat_template.jinja; leave --chat out to continue the plain text",
    });
  }
  const special = (key: string): string => {
    const token = config[key];
    const content: unknown = typeof token === "object" && token !== null ? Reflect.get(token, "content") : token;
    return typeof content === "string" ? content : "";
  };
  const messages = [...(system === null ? [] : [{ role: "system", content: system }]), { role: "user", content: user }];
  try {
    return new Template(template).render({
      messages,
      add_generation_prompt: true,
      bos_token: special("bos_token"),
      eos_token: special("eos_token"),
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NsquaredError(
      "bad-chat-template",
      `${where}: its chat template cannot be used (${reason.split("\n")[0]})`,
      {
        where,
      },
    );
  }
}

async function templateBeside(open: OpenBeside): Promise<string | null> {
  const source = await open("chat_template.jinja");
  return source === null ? null : readText(source, longestTemplate);
}

/** A template, or the default one of several named ones. */
function templateIn(value: unknown): string | null {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return null;
  for (const one of value) {
    if (typeof one !== "object" || one === null || Reflect.get(one, "name") !== "default") continue;
    const template: unknown = Reflect.get(one, "template");
    if (typeof template === "string") return template;
  }
  return null;
}
