/** A form made from an agent's contract: one field per property, its description as help, what is wrong beside it. */

import { h, title } from "./dom";
import type { Agent, Metadata, Problem, Rule, Schema, Value } from "./gateway";

const SLOTS: Record<string, string> = { tts: "Voice", stt: "Hearing", llm: "Language model", session: "Session" };
const AUTOCOMPLETE: Record<string, string> = { user_name: "name", user_phone: "tel", user_email: "email" };

/** One input and the place for what is wrong with it. `read` is undefined where nothing was entered. */
interface Field {
  pointer: string;
  input: HTMLElement;
  error: HTMLElement;
  read(): unknown;
}

export interface Offer {
  /** Which of the contract's fields are asked for. */
  mark: "x-from-caller" | "x-live";
  /** Prefix of ids, so that two forms can be on one page. */
  id: string;
  /** Profile and settings of the config: folded away below the fields, or above them without a profile. */
  settings: "folded" | "first";
}

export class Fields {
  readonly element: HTMLElement;
  private readonly fields: Field[] = [];
  private readonly sliders = new Map<string, (value: number) => void>();

  constructor(
    private readonly agent: Agent,
    private readonly offer: Offer,
  ) {
    const asked = Object.entries(agent.schema.properties).filter(
      ([name, schema]) => schema[offer.mark] === true && !["config", "profile"].includes(name),
    );
    const properties = asked.map(([name, schema]) => this.property(name, schema));
    const settings = Object.entries(agent.allow).map(([key, rule]) => this.setting(key, rule));
    this.element =
      offer.settings === "first"
        ? h("div", { class: "fields" }, ...settings, ...properties)
        : h("div", { class: "fields" }, ...properties, this.folded(settings));
  }

  /** What was entered, as metadata. Throws nothing: JSON that does not parse is told at its field. */
  read(): Metadata {
    const metadata: Metadata = {};
    const config: Metadata = {};
    for (const field of this.fields) {
      const value = field.read();
      if (value === undefined) continue;
      const [, first = "", second] = field.pointer.split("/");
      if (second === undefined) metadata[first] = value;
      else config[second] = value;
    }
    if (Object.keys(config).length > 0) metadata["config"] = config;
    return metadata;
  }

  /** Show each problem at its field; those that belong to none are returned. */
  show(problems: Problem[], focus = false): Problem[] {
    const rest = new Set(problems);
    let first: HTMLElement | undefined;
    for (const field of this.fields) {
      // A key with dots may come back as path parts: /config/tts/speed
      const mine = problems.filter((one) => one.pointer.replaceAll(/[/.]/g, " ") === field.pointer.replaceAll(/[/.]/g, " "));
      field.error.textContent = mine.map((one) => sentence(one.text)).join(" ");
      if (mine.length > 0) {
        field.input.setAttribute("aria-invalid", "true");
        first ??= field.input;
      } else field.input.removeAttribute("aria-invalid");
      for (const one of mine) rest.delete(one);
    }
    first?.closest("details")?.setAttribute("open", "");
    if (focus) first?.focus();
    return [...rest];
  }

  /** Where nothing is set, a slider stands where the config has it. */
  rest(config: Value[]): void {
    for (const { key, value } of config) if (typeof value === "number") this.sliders.get(key)?.(value);
  }

  private property(name: string, schema: Schema): HTMLElement {
    const kind = plain(schema);
    const common = { id: this.id(name), name, "aria-describedby": this.describedBy(name) };
    if (kind.enum !== undefined) {
      const select = h("select", common, h("option", { value: "" }, "Not set"), ...kind.enum.map((one) => h("option", {}, one)));
      return this.wrap(`/${name}`, title(name), schema.description, select, () => select.value || undefined);
    }
    if (kind.type === "boolean") {
      const select = h("select", common, h("option", { value: "" }, "Not set"), h("option", { value: "true" }, "Yes"), h("option", { value: "false" }, "No"));
      return this.wrap(`/${name}`, title(name), schema.description, select, () => (select.value ? select.value === "true" : undefined));
    }
    if (kind.type === "object" || kind.type === "array") {
      const area = h("textarea", { ...common, rows: 3, spellcheck: "false", class: "code", placeholder: kind.type === "object" ? '{"vip": true}' : "[]" });
      return this.wrap(`/${name}`, title(name), `${schema.description ?? ""} As JSON.`, area, () => parsed(area.value));
    }
    if ((kind.maxLength ?? 0) > 200) {
      const area = h("textarea", { ...common, rows: 2, maxlength: kind.maxLength });
      return this.wrap(`/${name}`, title(name), schema.description, area, () => area.value.trim() || undefined);
    }
    const number = kind.type === "integer" || kind.type === "number";
    const type = number ? "number" : kind.format === "date" ? "date" : name.endsWith("phone") ? "tel" : "text";
    const input = h("input", { ...common, type, step: kind.type === "number" ? "any" : null, maxlength: kind.maxLength, autocomplete: AUTOCOMPLETE[name] ?? "off" });
    return this.wrap(`/${name}`, title(name), schema.description, input, () => {
      const text = input.value.trim();
      return text === "" ? undefined : number ? Number(text) : text;
    });
  }

  private folded(settings: HTMLElement[]): HTMLElement | null {
    const profile = this.agent.profiles.length > 1 ? this.profile() : null;
    if (!profile && settings.length === 0) return null;
    const inside = h("div", { class: "fields" }, profile, ...settings);
    return h("details", { class: "settings" }, h("summary", {}, "Settings", h("small", {}, "profile, voice, pauses")), inside);
  }

  private profile(): HTMLElement {
    const id = "profile";
    const select = h(
      "select",
      { id: this.id(id), name: id, "aria-describedby": this.describedBy(id) },
      h("option", { value: "" }, "By the caller's language"),
      ...this.agent.profiles.map((one) => h("option", {}, one)),
    );
    return this.wrap("/profile", "Profile", "A named set of settings.", select, () => select.value || undefined);
  }

  private setting(key: string, rule: Rule): HTMLElement {
    const [slot = "", ...rest] = key.split(".");
    const label = `${SLOTS[slot] ?? slot}: ${rest.join(" ").replaceAll("_", " ")}`;
    const id = `config-${key.replaceAll(".", "-")}`;
    const common = { id: this.id(id), name: key, "aria-describedby": this.describedBy(id) };
    const pointer = `/config/${key}`;
    if (rule.type === "float" || rule.type === "int") return this.slider(pointer, key, label, rule, common);
    if (rule.type === "str" && !rule.choices?.length) {
      const input = h("input", { ...common, type: "text", autocomplete: "off" });
      return this.wrap(pointer, label, key, input, () => input.value.trim() || undefined);
    }
    const choices = rule.type === "bool" ? ["true", "false"] : (rule.choices ?? []);
    const select = h("select", common, h("option", { value: "" }, "As configured"), ...choices.map((one) => h("option", {}, one)));
    return this.wrap(pointer, label, key, select, () => {
      if (select.value === "") return undefined;
      return rule.type === "bool" ? select.value === "true" : select.value;
    });
  }

  private slider(pointer: string, key: string, label: string, rule: Rule, common: Record<string, string>): HTMLElement {
    const { min = 0, max = 1 } = rule;
    const step = rule.type === "int" || max - min > 5 ? 1 : 0.05;
    const input = h("input", { ...common, type: "range", min, max, step });
    const shown = h("output", { for: common["id"] });
    const reset = h("button", { type: "button", class: "quiet", hidden: true }, "Reset");
    reset.setAttribute("aria-label", `Reset ${label}`);
    let set = false;
    let configured: number | undefined;
    const draw = () => {
      if (!set) input.value = String(configured ?? (min + max) / 2);
      shown.textContent = set || configured !== undefined ? String(Number(input.value)) : "as configured";
      input.classList.toggle("set", set);
      reset.hidden = !set;
    };
    input.addEventListener("input", () => ((set = true), draw()));
    reset.addEventListener("click", () => {
      set = false;
      draw();
      input.focus();
      input.dispatchEvent(new Event("change", { bubbles: true }));
    });
    this.sliders.set(key, (value) => {
      configured = value;
      draw();
    });
    draw();
    const field = this.wrap(pointer, label, `${key}, ${min} to ${max}`, input, () => (set ? Number(input.value) : undefined));
    field.querySelector("label")?.after(h("span", { class: "value" }, reset, shown));
    field.classList.add("slider");
    return field;
  }

  private wrap(pointer: string, label: string, help: string | undefined, input: HTMLElement, read: () => unknown): HTMLElement {
    const id = input.id;
    const error = h("p", { id: `${id}-error`, class: "error" });
    this.fields.push({ pointer, input, error, read });
    return h(
      "div",
      { class: "field" },
      h("label", { for: id }, label),
      input,
      h("p", { id: `${id}-help`, class: "help" }, help ?? ""),
      error,
    );
  }

  private id(name: string): string {
    return `${this.offer.id}-${name}`;
  }

  private describedBy(name: string): string {
    return `${this.id(name)}-error ${this.id(name)}-help`;
  }
}

/** A property without its "or null". */
function plain(schema: Schema): Schema {
  return schema.anyOf?.find((one) => one.type !== "null") ?? schema;
}

/** JSON as entered; what does not parse goes on as text, and the contract says what is wrong with that. */
function parsed(text: string): unknown {
  if (text.trim() === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** `not a phone number` as a sentence. */
function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? "" : "."}`;
}
