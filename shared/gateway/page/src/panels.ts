/** What stands beside the conversation: the config with its origins, the call's record. */

import { h } from "./dom";
import type { CallRecord, Explained, Recorded, Value } from "./gateway";

/** What a caller's dispatch decides about; the rest is the host's own. */
const OF_A_CALL = ["stt", "tts", "llm", "vad", "session"];
const NAMES: Record<string, string> = { stt: "Hearing", tts: "Voice", llm: "Language model", vad: "Voice activity", session: "Session" };

/** Each value of the call's config, and every place that sets it: the last one won. */
export function configPanel(explained: Explained): HTMLElement {
  const groups = OF_A_CALL.map((slot) => ({ slot, values: explained.config.filter((one) => one.key.split(".")[0] === slot) }));
  return h(
    "div",
    { class: "config" },
    h(
      "dl",
      { class: "facts" },
      ...fact("Environment", explained.env),
      ...fact("Profile", explained.profile),
      ...fact("Digest", explained.digest.slice(0, 12)),
    ),
    ...groups
      .filter(({ values }) => values.length > 0)
      .map(({ slot, values }) => h("section", {}, h("h3", {}, NAMES[slot] ?? slot), h("ul", { class: "values" }, ...values.map(valueRow)))),
  );
}

function valueRow({ key, value, origins }: Value): HTMLElement {
  const chain = [...origins].reverse();
  return h(
    "li",
    { class: origins.at(-1) === "dispatch" ? "chosen" : "" },
    h("span", { class: "key" }, key.split(".").slice(1).join(".")),
    h("span", { class: "set" }, shown(value)),
    h("span", { class: "origin" }, chain.map((one) => one.replace(/^conf\//, "")).join(" ← ")),
  );
}

/** What became of a call: how it ended first, then everything that happened. */
export function recordPanel(record: CallRecord): HTMLElement {
  const began = Date.parse(record.events[0]?.at ?? "");
  return h(
    "div",
    { class: "record" },
    h(
      "dl",
      { class: "facts" },
      ...fact("Outcome", record.outcome?.replaceAll("_", " ") ?? "not yet settled"),
      ...(record.code ? fact("Code", record.code) : []),
      ...(record.joined_s === null ? [] : fact("Agent joined after", `${record.joined_s} s`)),
      ...fact("Attempts", String(record.attempts)),
      ...fact("Call", record.call_id),
    ),
    record.remedy ? h("p", { class: "help" }, record.remedy) : null,
    h("ol", { class: "events" }, ...record.events.map((event) => eventRow(event, began))),
  );
}

function eventRow({ at, event, data }: Recorded, began: number): HTMLElement {
  const told = event === "turn" ? String(data["text"]) : brief(data);
  return h(
    "li",
    { class: event === "turn" ? String(data["role"]) : "" },
    h("span", { class: "at" }, `${((Date.parse(at) - began) / 1000).toFixed(1)} s`),
    h("span", { class: "what" }, event === "turn" ? (data["role"] === "agent" ? "agent" : "you") : event.replaceAll("_", " ")),
    h("span", { class: "told" }, told),
  );
}

/** The plain values of an event, those inside objects too. */
function brief(data: Record<string, unknown>): string {
  return Object.entries(data)
    .flatMap(([key, value]): string[] => {
      if (value === null || value === "" || value === "default" || (Array.isArray(value) && value.length === 0)) return [];
      if (typeof value !== "object" || Array.isArray(value)) return [`${key} ${shown(value)}`];
      return [brief(value as Record<string, unknown>)].filter(Boolean);
    })
    .join(" · ");
}

function shown(value: unknown): string {
  return typeof value === "string" ? value || '""' : JSON.stringify(value);
}

function fact(name: string, value: string): HTMLElement[] {
  return [h("div", {}, h("dt", {}, name), h("dd", {}, value))];
}
