/** Before the call: which agent, what it should know, with which settings. */

import type { Details } from "./details";
import { byId, h, title } from "./dom";
import { Fields } from "./fields";
import { explain, GatewayError, type Agent, type Metadata } from "./gateway";

type Start = (agent: Agent, metadata: Metadata, microphone: boolean) => Promise<void>;

export class Lobby {
  private agent: Agent | null = null;
  private fields: Fields | null = null;
  private asked = 0;
  private readonly form = byId<HTMLFormElement>("about");

  constructor(
    private readonly details: Details,
    private readonly start: Start,
  ) {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.call(true);
    });
    byId("typed").addEventListener("click", () => void this.call(false));
    this.form.addEventListener("change", (event) => {
      if ((event.target as HTMLInputElement).name === "agent") return;
      void this.judge();
    });
  }

  /** Show the agents that may be called; `?agent=` in the address chooses one. */
  offer(agents: Agent[]): void {
    byId("agents").replaceChildren(...agents.map((one) => this.card(one)));
    const wanted = new URLSearchParams(location.search).get("agent");
    const first = agents.find(({ name }) => name === wanted) ?? agents[0];
    if (!first) return this.refuse(new Error("This gateway opens no agent to you."));
    byId<HTMLInputElement>(`agent-${first.name}`).checked = true;
    this.choose(first);
  }

  /** Say what was refused: at its field, or above the buttons. */
  refuse(error: unknown): void {
    const known = error instanceof GatewayError ? error.problems : [];
    const rest = this.fields?.show(known, true) ?? known;
    const texts = rest.map(({ pointer, text }) => (pointer ? `${pointer}: ${text}` : text));
    if (known.length === 0) texts.push(error instanceof Error ? error.message : String(error));
    byId("refused").replaceChildren(...texts.map((text) => h("p", {}, text)));
  }

  /** Back from a call: the same agent, the same words. */
  again(): void {
    this.details.lobby();
    void this.judge();
    byId<HTMLInputElement>(`agent-${this.agent?.name}`).focus();
  }

  private card(agent: Agent): HTMLElement {
    const id = `agent-${agent.name}`;
    return h(
      "div",
      { class: "agent-card" },
      h("input", { type: "radio", name: "agent", id, value: agent.name, "aria-describedby": `${id}-does`, change: () => this.choose(agent) }),
      h("label", { for: id }, h("span", { class: "jack" }), title(agent.name)),
      h("p", { id: `${id}-does` }, agent.description),
    );
  }

  private choose(agent: Agent): void {
    this.agent = agent;
    this.fields = new Fields(agent, { mark: "x-from-caller", id: "about", settings: "folded" });
    byId("fields").replaceChildren(this.fields.element);
    byId("refused").replaceChildren();
    const address = new URL(location.href);
    address.searchParams.set("agent", agent.name);
    history.replaceState(null, "", address);
    void this.judge();
  }

  /** Ask the gateway what would become of this call. Of two answers the one to the newer question counts. */
  private async judge(): Promise<void> {
    const { agent, fields } = this;
    if (!agent || !fields) return;
    const question = ++this.asked;
    try {
      const told = await explain(agent.name, fields.read());
      if (question !== this.asked) return;
      fields.rest(told.config);
      fields.show(told.refused);
      this.details.config(told);
    } catch (error) {
      if (question === this.asked) this.refuse(error);
    }
  }

  private async call(microphone: boolean): Promise<void> {
    const { agent, fields } = this;
    if (!agent || !fields) return;
    this.form.inert = true;
    byId("refused").replaceChildren();
    try {
      await this.start(agent, fields.read(), microphone);
      fields.show([]);
    } catch (error) {
      this.form.inert = false;
      this.refuse(error);
    }
    this.form.inert = false;
  }
}
