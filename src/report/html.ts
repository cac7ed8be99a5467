import { percent, threadCount, tokens } from "../base/format.js";
import type { Finding } from "../compare/diagnose.js";
import { causeNames } from "../compare/diagnose-advice.js";
import type { DiagnosisReport, Fact, PartsPoint, PhaseReport, ReportData } from "./data.js";
import { definitions } from "./definitions.js";
import { aboutTokens, printable, tokensInterval } from "./labels.js";
import { html, type Markup } from "./markup.js";
import { factGroups } from "./page-facts.js";
import { pageOf } from "./page.js";
import { jointTable, lawTables, measuredTable, memoryTable, partsTable, predictedTable } from "./page-tables.js";
import { type Drawing, loadDrawing, type Picture } from "./pictures/drawing.js";
import { evidencePicture } from "./pictures/evidence.js";
import { memoryPicture } from "./pictures/memory.js";
import { partsPicture, unnamedBands } from "./pictures/parts.js";
import { ratioPicture } from "./pictures/ratio.js";
import { timePicture } from "./pictures/time.js";
import { plainWords } from "./plain-words.js";
import { answer, doubts, phaseTitle } from "./words.js";

/**
 * The report as one HTML document that needs nothing else: no scripts, no requests, pictures as SVG. Loads Observable
 * Plot and linkedom on first use.
 */
export async function htmlReport(data: ReportData): Promise<string> {
  const draw = await loadDrawing();
  const title = `${printable(data.model.name)}: how inference slows with length`;
  return pageOf(
    title,
    data.version,
    data.created,
    html`${header(data)}
${plain(data)}
${data.phases.map((phase) => phaseSection(data, phase, draw))}
${diagnosisSection(data.diagnosis, draw)}
${memorySection(data, draw)}
${factsSection(data)}
${definitionsSection(data)}`,
  );
}

function header(data: ReportData): Markup {
  const { run, prediction } = data;
  const threads = run?.runtime.threads ?? null;
  const subtitle =
    run !== null
      ? run.server !== null
        ? [`measured from outside at ${run.server.address}`, run.server.engine]
        : [
            `measured on ${run.machine.cpu}`,
            threads === null ? null : threadCount(threads),
            `${run.runtime.name} ${run.runtime.version}`,
            run.runtime.dtype,
            run.runtime.attention === null ? null : `${run.runtime.attention} attention`,
          ]
      : [prediction === null ? null : `predicted for ${prediction.device} with ${prediction.engine}`];
  const warnings = doubts(data);
  return html`<header>
<p class="kicker">How inference slows with sequence length</p>
<h1>${printable(data.model.name)}</h1>
<p class="subtitle">${subtitle
    .filter((part) => part !== null)
    .map(printable)
    .join(" · ")}</p>
<ol class="answer">${answer(data).map(({ label, text }) => html`<li><b>${label}</b> ${text}</li>`)}</ol>
${warnings.length === 0 ? null : html`<div class="warnings" role="note">${warnings.map((message) => html`<p><b>Mind:</b> ${printable(message)}</p>`)}</div>`}
</header>`;
}

function plain(data: ReportData): Markup | null {
  const paragraphs = plainWords(data);
  if (paragraphs.length === 0) return null;
  return html`<section class="plain"><h2>In plain words</h2>${paragraphs.map((paragraph) => html`<p>${paragraph}</p>`)}</section>`;
}

function figure(draw: Drawing, picture: Picture | null, title: string, caption: string): Markup | null {
  if (picture === null) return null;
  return html`<figure><figcaption><h3>${title}</h3><p>${caption}</p></figcaption>${draw(picture)}</figure>`;
}

function behind(summary: string, content: Markup): Markup {
  return html`<details><summary>${summary}</summary>${content}</details>`;
}

function phaseSection(data: ReportData, phase: PhaseReport, draw: Drawing): Markup {
  const batch = phase.batch === 1 ? "" : `, batch ${phase.batch}`;
  const over = phase.phase === "decode" ? "context" : "length";
  const parts = phase.prediction?.parts ?? [];
  return html`<section><h2>${phaseTitle(phase.phase)}${batch}</h2>
${figure(draw, timePicture(phase, data.model.contextLength), `Time over ${over}`, timeCaption(phase))}
${measuredTable(phase)}
${predictions(phase)}
${lawSection(phase)}
${jointTable(phase)}
${figure(
  draw,
  ratioPicture(phase),
  "Measured against predicted",
  "Dots: measured median over predicted time, with its spread. Blue: the predicted interval. A hollow dot lies outside it. At 1× they are equal.",
)}
${figure(
  draw,
  partsPicture(parts, "predicted"),
  "Where the time goes, by prediction",
  partsCaption("Share of the predicted time by part of the model.", parts),
)}
${parts.length < 2 ? null : behind("The shares as a table", partsTable(parts))}
${profileSection(phase, draw)}
</section>`;
}

/** What was predicted: open where nothing was measured, else behind the table that compares. */
function predictions(phase: PhaseReport): Markup | null {
  const table = predictedTable(phase);
  if (table === null) return null;
  return phase.measured.length === 0 ? table : behind("All predicted lengths as a table", table);
}

function profileSection(phase: PhaseReport, draw: Drawing): Markup | null {
  const profile = phase.profile ?? [];
  if (profile.length === 0) return null;
  return html`${figure(
    draw,
    partsPicture(profile, "measured"),
    "Where the time goes, measured",
    partsCaption("Share of the time by part of the model, from a profile of the runtime.", profile),
  )}${behind("The measured shares as a table", partsTable(profile))}`;
}

function partsCaption(start: string, points: readonly PartsPoint[]): string {
  const unnamed = unnamedBands(points);
  const thin = unnamed.length === 0 ? "" : ` Too thin for its name: ${unnamed.join(", ")}.`;
  return `${start} Attention is scores and mixing alone; its projections are counted apart. The dotted line is one half.${thin}`;
}

function timeCaption(phase: PhaseReport): string {
  const sentences = [
    "Both axes are logarithmic: a straight line is a power of the length, and the steeper it is, the higher the power.",
  ];
  if (phase.measured.length > 0)
    sentences.push("Dots: medians of the measured times, with every single sample behind them.");
  if (phase.prediction !== null || phase.law !== null) sentences.push("Bands are intervals.");
  if (phase.measured.length > 0 && phase.law !== null) {
    sentences.push(`Dashed: beyond ${tokens(phase.law.to)} tokens nothing was measured; the law is extrapolated.`);
  }
  const seconds = phase.prediction?.crossover.seconds;
  if (phase.law?.crossover != null) {
    const predicted =
      seconds == null ? "" : `; predicted was ${aboutTokens(seconds.n)} (${tokensInterval(seconds.low, seconds.high)})`;
    sentences.push(`The upright line is the law’s crossover with its interval${predicted}.`);
  } else if (seconds != null) {
    sentences.push("The upright line is the predicted crossover with its interval.");
  }
  return sentences.join(" ");
}

function lawSection(phase: PhaseReport): Markup | null {
  const { law } = phase;
  if (law === null) return null;
  const from = `Fitted to the samples between ${tokens(law.from)} and ${tokens(law.to)} tokens`;
  const text =
    law.kind === "physical"
      ? `${from}: the physical law. Each class of the model’s own operators takes its predicted time on this machine, times a factor that the samples decide; below are the factors. 1 is just as predicted.`
      : `${from}: ${law.kind}${law.expression === null ? "" : `, seconds = ${law.expression}`}.`;
  return html`<h3>The law of the samples</h3><p>${text}</p>${lawTables(phase)}`;
}

/** What the prefills show beside their law: each finding with what it was seen in and what to try. */
function diagnosisSection(diagnosis: DiagnosisReport | null, draw: Drawing): Markup | null {
  if (diagnosis === null) return null;
  const { findings, warnings } = diagnosis;
  const heading = findings.length === 0 ? "The prefills grow like physics" : "What ails the prefills";
  const rests = `${diagnosis.samples} prefills of ${diagnosis.lengths} lengths, repeats within ${percent(diagnosis.noise)} of each other, held against ${printable(diagnosis.against)}.`;
  const nothing =
    "They are a constant, a part that grows with the length and one that grows with its square: none of the known ailments of servers and runtimes shows. ";
  return html`<section><h2>${heading}</h2><p>${findings.length === 0 ? nothing : ""}${rests}</p>
${findings.map((finding) => findingSection(finding, draw))}
${warnings.map(({ message }) => html`<p class="dim">${printable(message)}</p>`)}
</section>`;
}

function findingSection({ cause, alike, evidence, drawn, advice, options }: Finding, draw: Drawing): Markup {
  const title = [cause, ...alike].map((name) => causeNames[name]).join(", or ");
  const said = printable(evidence);
  const caption = `${said.charAt(0).toUpperCase()}${said.slice(1)}. Upright: ${drawn.y}.`;
  return html`${figure(draw, evidencePicture(drawn), title, caption)}
<p><b>To try:</b> ${advice}.</p>
${options.length === 0 ? null : html`<dl>${options.map(({ engine, option }) => html`<dt>${engine}</dt><dd>${option}</dd>`)}</dl>`}`;
}

function memorySection(data: ReportData, draw: Drawing): Markup | null {
  const { memory } = data;
  if (memory === null || memory.points.length === 0) return null;
  const limit = data.limits.memory;
  const caption =
    limit === null
      ? "Predicted memory by what it holds, stacked."
      : `Predicted memory by what it holds, stacked. About ${aboutTokens(limit.n)} tokens fill the machine.`;
  return html`<section><h2>Memory</h2>
${figure(draw, memoryPicture(memory), "Memory over length", caption)}
${behind("The memory as a table", memoryTable(memory))}
</section>`;
}

function list(facts: readonly Fact[]): Markup {
  return html`<dl>${facts.map(({ label, value }) => html`<dt>${printable(label)}</dt><dd>${printable(value)}</dd>`)}</dl>`;
}

function factsSection(data: ReportData): Markup {
  const repeat =
    data.commands.length === 0
      ? null
      : html`<h3>To repeat it</h3><pre tabindex="0">${data.commands.map(printable).join("\n")}</pre>`;
  return html`<section><h2>What this rests on</h2>
<div class="facts">${factGroups(data).map(({ title, facts }) => html`<div><h3>${title}</h3>${list(facts)}</div>`)}</div>
${repeat}</section>`;
}

function definitionsSection(data: ReportData): Markup {
  const assumptions =
    data.assumptions.length === 0
      ? null
      : html`<h3>Assumptions</h3><ul>${data.assumptions.map((sentence) => html`<li>${printable(sentence)}</li>`)}</ul>`;
  return html`<section><h2>Assumptions and definitions</h2>${assumptions}<h3>What the words mean</h3>${list(definitions)}</section>`;
}
