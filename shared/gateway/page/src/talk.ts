/** The call as one sees it: the line between both ends, what is said, and the buttons. */

import { Call, type Line, type Phase } from "./call";
import { Cord } from "./cord";
import type { Details } from "./details";
import { byId, h, s, title } from "./dom";
import { readCall, type Agent, type Metadata } from "./gateway";

const RECORD_TRIES = 60;
const RECORD_EVERY_MS = 500;
const MICROPHONE = "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM6 11a6 6 0 0 0 12 0M12 17v4";
const STATES: Record<string, string> = { away: "", initializing: "getting ready", idle: "idle" };
const NEWS: Partial<Record<Phase, string>> = {
  waiting: "Connected. Waiting for the agent.",
  live: "The agent is here.",
  reconnecting: "Connection lost. Reconnecting.",
  lost: "The connection was lost.",
  over: "The call is over.",
};

export class Talk {
  private call: Call | null = null;
  private agent: Agent | null = null;
  private phase: Phase | null = null;
  private readonly cord = new Cord(() => this.call?.meters ?? null);
  private readonly shown = new Map<string, HTMLElement>();
  private readonly words = byId<HTMLInputElement>("words");
  private readonly lines = byId("lines");
  private readonly transcript = byId("transcript");

  constructor(
    private readonly details: Details,
    private readonly toLobby: () => void,
  ) {
    byId("line").firstElementChild?.after(this.cord.element);
    byId("mute").append(s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, s("path", { d: MICROPHONE }), s("path", { class: "slash", d: "M4 4l16 16" })));
    byId("mute").addEventListener("click", () => void this.call?.mute(this.call.hasMicrophone && !this.call.muted));
    byId("hangup").addEventListener("click", () => void this.call?.hangUp());
    byId("rejoin").addEventListener("click", () => void this.rejoin());
    byId("again").addEventListener("click", () => this.toLobby());
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.words.value.trim();
      if (!text || !this.call) return;
      this.words.value = "";
      void this.call.type(text);
    });
  }

  /** Begin a call; `connected` is called once it stands. Throws where it is refused. */
  async begin(agent: Agent, metadata: Metadata, microphone: boolean, connected: () => void): Promise<void> {
    byId("speaker").replaceChildren();
    this.lines.replaceChildren();
    this.shown.clear();
    this.agent = agent;
    this.phase = null;
    byId("agent-name").textContent = title(agent.name);
    byId("talk-title").textContent = `Call with ${title(agent.name)}`;
    const call = new Call({ agent: agent.name, metadata, microphone, speaker: byId("speaker"), changed: () => this.draw() });
    this.call = call;
    await call.connect();
    connected();
    this.details.call(agent, call);
    this.cord.start();
    this.draw();
    this.words.focus({ preventScroll: true });
  }

  private async rejoin(): Promise<void> {
    try {
      await this.call?.rejoin();
    } catch (error) {
      if (this.call) this.call.notice = error instanceof Error ? error.message : String(error);
      this.draw();
    }
  }

  private draw(): void {
    const { call, agent } = this;
    if (!call || !agent) return;
    byId("talk").dataset["agent"] = call.agentState;
    byId("agent-state").textContent = call.phase === "over" ? "hung up" : (STATES[call.agentState] ?? call.agentState);
    byId("you-state").textContent = call.phase === "over" ? "" : call.hasMicrophone ? (call.muted ? "muted" : "microphone on") : "typing";
    const mute = byId("mute");
    mute.setAttribute("aria-label", call.hasMicrophone ? "Mute the microphone" : "Open the microphone");
    mute.title = call.hasMicrophone ? (call.muted ? "Unmute" : "Mute") : "Open the microphone";
    mute.setAttribute("aria-pressed", String(call.muted || !call.hasMicrophone));
    byId("notice").textContent = call.phase === "reconnecting" ? "Connection lost. Reconnecting …" : call.notice;
    byId("notice").hidden = byId("notice").textContent === "";
    this.drawLines(call.lines);
    this.details.times(call.turns.all);
    this.details.acknowledged(call.acknowledged);
    if (call.phase !== this.phase) this.enter(call, call.phase);
  }

  private enter(call: Call, phase: Phase): void {
    this.phase = phase;
    byId("talk").dataset["phase"] = phase;
    byId("status").textContent = NEWS[phase] ?? "";
    const done = phase === "over" || phase === "lost";
    const typing = byId("composer").contains(document.activeElement);
    byId("composer").hidden = done;
    byId("after").hidden = !done;
    byId("rejoin").hidden = phase !== "lost";
    if (done && typing) byId(phase === "lost" ? "rejoin" : "again").focus();
    if (phase === "over") void this.close(call);
  }

  /** Show the record once the host has settled it. */
  private async close(call: Call): Promise<void> {
    this.cord.stop();
    this.details.awaitRecord();
    for (let attempt = 0; attempt < RECORD_TRIES; attempt++) {
      const record = await readCall(call.id ?? call.roomName).catch(() => null);
      if (this.call !== call) return;
      if (record) this.details.record(record);
      if (record?.outcome) return;
      await new Promise((done) => window.setTimeout(done, RECORD_EVERY_MS));
    }
  }

  private drawLines(lines: Line[]): void {
    const atEnd = this.transcript.scrollHeight - this.transcript.scrollTop - this.transcript.clientHeight < 40;
    for (const line of lines) {
      const element = this.shown.get(line.id) ?? this.add(line);
      element.classList.toggle("interim", !line.final);
      const text = element.querySelector(".text");
      if (text && text.textContent !== line.text) text.textContent = line.text;
    }
    if (atEnd) this.transcript.scrollTop = this.transcript.scrollHeight;
  }

  private add(line: Line): HTMLElement {
    const who = line.who === "caller" ? "You" : title(this.agent?.name ?? "");
    const element = h("li", { class: line.who }, h("span", { class: "who" }, who), h("span", { class: "text" }));
    this.shown.set(line.id, element);
    this.lines.append(element);
    return element;
  }
}
