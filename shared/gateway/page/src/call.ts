/** One call: the room, both sides' words, the agent's state, and how long answers take. */

import {
  ConnectionState,
  DisconnectReason,
  ParticipantKind,
  Room,
  RoomEvent,
  Track,
  type RemoteParticipant,
  type TextStreamReader,
} from "livekit-client";

import { fetchToken, type Acknowledgement, type Metadata } from "./gateway";
import { Meter } from "./meter";
import { Turns } from "./turns";

const AGENT_LIMIT_MS = 15_000;
/** LiveKit's attribute for what the agent does, and ours for how it stands. */
const STATE = "lk.agent.state";
const OURS = { state: "sb.state", code: "sb.code", key: "sb.key", metadata: "sb.metadata" };

export type Phase = "connecting" | "waiting" | "live" | "reconnecting" | "over" | "lost";
export type AgentState = "away" | "initializing" | "listening" | "thinking" | "speaking" | "idle";
export type Speaker = "caller" | "agent";

export interface Line {
  id: string;
  who: Speaker;
  text: string;
  final: boolean;
  at: number;
}

export interface CallOptions {
  agent: string;
  metadata: Metadata;
  microphone: boolean;
  /** Where audio elements are put. */
  speaker: HTMLElement;
  changed(): void;
}

export class Call {
  phase: Phase = "connecting";
  agentState: AgentState = "away";
  /** Why it did not work, or what the caller should know. */
  notice = "";
  muted = false;
  hasMicrophone = false;
  acknowledged: Acknowledgement | null = null;
  /** The call's id in the records, once its agent is there. */
  id: string | null = null;
  readonly began = performance.now();
  readonly lines: Line[] = [];
  readonly turns = new Turns();
  readonly meters = { caller: new Meter(), agent: new Meter() };
  private readonly room = new Room({ adaptiveStream: false, dynacast: false });
  private readonly clock: number;
  private name: string | undefined;

  constructor(private readonly options: CallOptions) {
    this.room.registerTextStreamHandler("lk.transcription", (reader, { identity }) => {
      this.hear(reader, identity).catch(() => undefined); // the room closed in the middle of it
    });
    this.room
      .on(RoomEvent.ParticipantConnected, this.look)
      .on(RoomEvent.ParticipantDisconnected, this.look)
      .on(RoomEvent.ParticipantAttributesChanged, this.look)
      .on(RoomEvent.TrackSubscribed, (track) => {
        if (track.kind !== Track.Kind.Audio) return;
        options.speaker.append(track.attach());
        this.meters.agent.listen(track.mediaStreamTrack);
      })
      .on(RoomEvent.TrackUnsubscribed, (track) => track.detach().forEach((element) => element.remove()))
      .on(RoomEvent.SignalReconnecting, () => this.become("reconnecting"))
      .on(RoomEvent.Reconnecting, () => this.become("reconnecting"))
      .on(RoomEvent.Reconnected, () => this.look())
      .on(RoomEvent.Disconnected, (reason) => this.leave(reason));
    this.turns.changed = options.changed;
    this.clock = window.setInterval(() => {
      const now = performance.now();
      this.turns.level("caller", this.muted ? 0 : this.meters.caller.level(), now);
      this.turns.level("agent", this.meters.agent.level(), now);
    }, 20);
  }

  /** The room's name, once connected. */
  get roomName(): string {
    return this.name ?? "";
  }

  /** Bring caller and agent together. Throws a GatewayError where the token is refused. */
  async connect(): Promise<void> {
    const { agent, metadata, microphone } = this.options;
    try {
      const { serverUrl, participantToken } = await fetchToken(agent, metadata, this.name);
      await this.room.connect(serverUrl, participantToken);
    } catch (error) {
      if (this.name === undefined) this.close();
      else this.become("lost");
      throw error;
    }
    this.name = this.room.name;
    if (microphone) await this.openMicrophone();
    window.setTimeout(() => {
      if (this.phase === "waiting") this.tell(`No ${agent} has come yet. Is a host of it running?`);
    }, AGENT_LIMIT_MS);
    this.look();
  }

  /** Come back into the same room after the connection was lost for good. */
  async rejoin(): Promise<void> {
    this.become("connecting");
    await this.connect();
  }

  async hangUp(): Promise<void> {
    await this.room.disconnect();
  }

  /** Say something by typing it. */
  async type(text: string): Promise<void> {
    this.turns.typed(performance.now());
    this.put({ id: crypto.randomUUID(), who: "caller", text, final: true, at: performance.now() });
    await this.room.localParticipant.sendText(text, { topic: "lk.chat" });
  }

  async mute(muted: boolean): Promise<void> {
    if (this.hasMicrophone) await this.room.localParticipant.setMicrophoneEnabled(!muted);
    else await this.openMicrophone();
    this.muted = muted && this.hasMicrophone;
    this.options.changed();
  }

  private async openMicrophone(): Promise<void> {
    try {
      const publication = await this.room.localParticipant.setMicrophoneEnabled(true);
      const track = publication?.track?.mediaStreamTrack;
      if (track) this.meters.caller.listen(track);
      this.hasMicrophone = track !== undefined;
    } catch {
      this.tell("No microphone could be opened. You can type instead.");
    }
  }

  private readonly look = (): void => {
    if (this.room.state !== ConnectionState.Connected) return;
    const agent = [...this.room.remoteParticipants.values()].find((one) => one.kind === ParticipantKind.AGENT);
    this.agentState = (agent?.attributes[STATE] as AgentState | undefined) ?? (agent ? "initializing" : "away");
    if (agent) this.read(agent);
    this.become(agent ? "live" : "waiting");
  };

  private read({ attributes }: RemoteParticipant): void {
    this.id = attributes[OURS.key] ?? this.id;
    const answer = attributes[OURS.metadata];
    if (answer) this.acknowledged = JSON.parse(answer) as Acknowledgement;
    if (attributes[OURS.state] === "failed") this.notice = `The agent failed (${attributes[OURS.code] ?? "no code"}).`;
    else if (this.phase === "waiting") this.notice = this.hasMicrophone || !this.options.microphone ? "" : this.notice;
  }

  /** Interim words of a caller come as many streams of one segment, an agent's as one stream that grows. */
  private async hear(reader: TextStreamReader, identity: string): Promise<void> {
    const told = reader.info.attributes ?? {};
    const id = told["lk.segment_id"] ?? reader.info.id;
    const who: Speaker = identity === this.room.localParticipant.identity ? "caller" : "agent";
    const at = performance.now();
    let text = "";
    for await (const piece of reader) {
      text += piece;
      this.put({ id, who, text, final: false, at });
    }
    // Read after the loop: an agent's `final` is in the trailer alone.
    const final = reader.info.attributes?.["lk.transcription_final"] === "true";
    if (final && who === "caller" && text.trim()) this.turns.understood(performance.now());
    this.put({ id, who, text, final, at });
  }

  private put(line: Line): void {
    const before = this.lines.find((one) => one.id === line.id);
    if (before) Object.assign(before, line, { at: before.at, final: before.final || line.final });
    else if (line.text.trim()) {
      this.lines.push(line);
      if (line.who === "agent") this.turns.line(performance.now());
    }
    this.options.changed();
  }

  private leave(reason: DisconnectReason | undefined): void {
    const ended = [
      DisconnectReason.CLIENT_INITIATED,
      DisconnectReason.ROOM_DELETED,
      DisconnectReason.ROOM_CLOSED,
      DisconnectReason.PARTICIPANT_REMOVED,
    ].includes(reason ?? DisconnectReason.UNKNOWN_REASON);
    this.agentState = "away";
    if (ended) this.close();
    if (!ended) this.notice = "The connection was lost.";
    this.become(ended ? "over" : "lost");
  }

  private close(): void {
    window.clearInterval(this.clock);
    this.meters.caller.close();
    this.meters.agent.close();
  }

  private tell(notice: string): void {
    this.notice = notice;
    this.options.changed();
  }

  private become(phase: Phase): void {
    if (this.phase !== "over") this.phase = phase;
    this.options.changed();
  }
}
