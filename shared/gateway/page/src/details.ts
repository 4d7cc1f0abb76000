/** The panels beside the conversation, as tabs: config, answer times, changes while the call runs, the record after it. */

import type { Call } from "./call";
import { chart } from "./chart";
import { byId, h } from "./dom";
import { Fields } from "./fields";
import { GatewayError, putMetadata, type Acknowledgement, type Agent, type CallRecord, type Explained } from "./gateway";
import { configPanel, recordPanel } from "./panels";
import type { Turn } from "./turns";

const NAMES = ["Config", "Times", "Change", "Record"] as const;
type Name = (typeof NAMES)[number];

export class Details {
  private readonly tabs = {} as Record<Name, HTMLButtonElement>;
  private readonly panels = {} as Record<Name, HTMLElement>;
  private explained: Explained | null = null;
  private live: { fields: Fields; answer: HTMLElement } | null = null;
  private seen = 0;
  private drawn = "";

  constructor() {
    for (const name of NAMES) {
      const id = name.toLowerCase();
      this.tabs[name] = h("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`, click: () => this.select(name) }, name);
      this.panels[name] = h("div", { role: "tabpanel", id: `panel-${id}`, "aria-labelledby": `tab-${id}`, tabindex: 0, class: "panel" });
    }
    byId("tabs").append(...Object.values(this.tabs));
    byId("tabs").addEventListener("keydown", (event) => this.move(event));
    byId("panels").append(...Object.values(this.panels));
    this.lobby();
  }

  /** Before a call there is its config alone. */
  lobby(): void {
    for (const name of NAMES) this.tabs[name].hidden = name !== "Config";
    this.select("Config");
  }

  config(explained: Explained): void {
    this.explained = explained;
    byId("where").textContent = explained.env;
    this.panels.Config.replaceChildren(configPanel(explained));
  }

  /** A call has begun: its answer times, and what may be changed while it runs. */
  call(agent: Agent, call: Call): void {
    this.seen = 0;
    this.drawn = "";
    for (const name of NAMES) this.tabs[name].hidden = name === "Record";
    this.panels.Change.replaceChildren(this.editor(agent, call));
    this.times([]);
    this.select("Times");
  }

  times(turns: Turn[]): void {
    const state = JSON.stringify(turns);
    if (state === this.drawn) return;
    this.drawn = state;
    this.panels.Times.replaceChildren(chart(turns));
  }

  /** The agent has answered to a state of its room's metadata, whoever set it. */
  acknowledged(told: Acknowledgement | null): void {
    if (!told || told.version <= this.seen || !this.live) return;
    this.seen = told.version;
    const refused = Object.entries(told.refused).map(([pointer, code]) => ({ pointer, code, text: `The agent refused it (${code})` }));
    const { fields, answer } = this.live;
    const rest = fields.show(refused).map(({ pointer, code }) => `${pointer} (${code})`);
    answer.className = refused.length === 0 ? "answer taken" : "answer refused";
    answer.textContent = [
      `Taken by the agent, version ${told.version}`,
      refused.length === 0 ? "." : `, but for ${refused.length} of its values.`,
      rest.length > 0 ? ` ${rest.join(", ")}` : "",
    ].join("");
  }

  awaitRecord(): void {
    this.tabs.Record.hidden = false;
    this.tabs.Change.hidden = true;
    this.panels.Record.replaceChildren(h("p", { class: "empty" }, "The record is being closed …"));
    this.select("Record");
  }

  record(record: CallRecord): void {
    this.panels.Record.replaceChildren(recordPanel(record));
  }

  /** What may change in the running call: the room's metadata, as a form. */
  private editor(agent: Agent, call: Call): HTMLElement {
    const fields = new Fields(agent, { mark: "x-live", id: "live", settings: "first" });
    if (this.explained) fields.rest(this.explained.config);
    const answer = h("p", { class: "answer", role: "status" });
    this.live = { fields, answer };
    const send = async () => {
      answer.className = "answer";
      answer.textContent = "Sent to the room …";
      try {
        const told = await putMetadata(call.roomName, fields.read());
        this.seen = told.version - 1; // shown again where the attribute was quicker
        this.acknowledged(told);
      } catch (error) {
        const problems = error instanceof GatewayError ? error.problems : [];
        const rest = fields.show(problems, true).map((one) => `${one.pointer}: ${one.text}`);
        if (problems.length === 0) rest.push(error instanceof Error ? error.message : String(error));
        answer.className = "answer refused";
        answer.textContent = rest.length > 0 ? rest.join(" ") : "Refused, see above. Nothing was changed.";
      }
    };
    const submit = (event: Event) => {
      event.preventDefault();
      void send();
    };
    return h(
      "form",
      { novalidate: true, submit },
      h("p", { class: "lead" }, "Set the room’s metadata. The agent takes it in the running call."),
      fields.element,
      h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Apply"), answer),
    );
  }

  private select(chosen: Name): void {
    for (const name of NAMES) {
      const here = name === chosen;
      this.tabs[name].setAttribute("aria-selected", String(here));
      this.tabs[name].tabIndex = here ? 0 : -1;
      this.panels[name].hidden = !here;
    }
  }

  /** Arrow keys go from tab to tab, as the ARIA pattern has it. */
  private move(event: KeyboardEvent): void {
    const shown = NAMES.filter((name) => !this.tabs[name].hidden);
    const at = shown.findIndex((name) => this.tabs[name] === document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (to === undefined) return;
    const name = shown[(to + shown.length) % shown.length];
    if (name === undefined) return;
    event.preventDefault();
    this.select(name);
    this.tabs[name].focus();
  }
}
