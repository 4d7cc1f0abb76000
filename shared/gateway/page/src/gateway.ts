/** The gateway's routes, as this page uses them. */

import { TokenSource } from "livekit-client";

/** One thing that is wrong with what was sent. `pointer` names the field. */
export interface Problem {
  pointer: string;
  code: string;
  text: string;
}

export interface Schema {
  type?: string;
  anyOf?: Schema[];
  enum?: string[];
  format?: string;
  description?: string;
  maxLength?: number;
  "x-from-caller"?: boolean;
  "x-live"?: boolean;
}

/** What a dispatch may set one key of the config to. */
export interface Rule {
  type: "str" | "int" | "float" | "bool";
  choices?: string[];
  pattern?: string;
  min?: number;
  max?: number;
  only?: string | null;
}

export interface Agent {
  name: string;
  description: string;
  schema: { properties: Record<string, Schema> };
  profiles: string[];
  allow: Record<string, Rule>;
}

export interface Value {
  key: string;
  value: unknown;
  origins: string[];
}

export interface Explained {
  env: string;
  profile: string;
  digest: string;
  taken: boolean;
  config: Value[];
  refused: Problem[];
}

/** What an agent answers to a change of its room's metadata: the pointers it refused, with their codes. */
export interface Acknowledgement {
  version: number;
  digest: string;
  refused: Record<string, string>;
}

export interface Recorded {
  at: string;
  event: string;
  data: Record<string, unknown>;
}

export interface CallRecord {
  call_id: string;
  agent: string;
  room: string;
  outcome: string | null;
  code: string | null;
  remedy: string | null;
  joined_s: number | null;
  attempts: number;
  events: Recorded[];
}

export type Metadata = Record<string, unknown>;

/** The gateway refused something, or could not be reached. `problems` says what, field by field. */
export class GatewayError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly problems: Problem[] = [],
  ) {
    super(message);
  }
}

const KEPT = "switchboard.bearer";

/** Send this access token from now on; it is forgotten with the tab. */
export function signIn(token: string): void {
  sessionStorage.setItem(KEPT, token);
}

function authorization(): Record<string, string> {
  const token = sessionStorage.getItem(KEPT);
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

/** Where to connect, and with which token. Made anew for each call: the SDK's object would hand out the last call's token again. */
export async function fetchToken(agentName: string, metadata: Metadata, roomName?: string) {
  const source = TokenSource.endpoint(new URL("token", document.baseURI).href, { headers: authorization() });
  try {
    return await source.fetch({
      agentName,
      agentMetadata: JSON.stringify(metadata),
      ...(roomName === undefined ? {} : { roomName }),
    });
  } catch (error) {
    throw refusedToken(error);
  }
}

export const listAgents = () => ask<Agent[]>("GET", "agents");

export const explain = (agent: string, metadata: Metadata) =>
  ask<Explained>("POST", `agents/${encodeURIComponent(agent)}/explain`, { metadata });

/** Sets the room's metadata; comes back with what the agent made of it. */
export const putMetadata = (room: string, metadata: Metadata) =>
  ask<Acknowledgement>("PUT", `rooms/${encodeURIComponent(room)}/metadata`, metadata);

export const readCall = (id: string) => ask<CallRecord>("GET", `calls/${encodeURIComponent(id)}`);

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(new URL(path, document.baseURI), {
      method,
      headers: { ...authorization(), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new GatewayError("The gateway does not answer. Is it still running?", 0);
  }
  if (!response.ok) throw asError(response.status, await response.text());
  return (await response.json()) as T;
}

/** The SDK throws a plain error whose text ends in `received 422 / {the body}`. */
function refusedToken(error: unknown): Error {
  const text = error instanceof Error ? error.message : String(error);
  const found = /received (\d{3}) \/ ([^]*)$/.exec(text);
  if (found === null) return new GatewayError("The gateway does not answer. Is it still running?", 0);
  return asError(Number(found[1]), found[2] ?? "");
}

/** Problem details (RFC 9457) as an error. */
function asError(status: number, body: string): GatewayError {
  try {
    const told = JSON.parse(body) as {
      title?: string;
      detail?: string;
      errors?: { pointer: string; code: string; detail: string }[];
    };
    const problems = (told.errors ?? []).map((one) => ({
      pointer: one.pointer,
      code: one.code,
      text: one.detail,
    }));
    return new GatewayError(told.detail ?? told.title ?? `The gateway answered ${status}.`, status, problems);
  } catch {
    return new GatewayError(`The gateway answered ${status}.`, status);
  }
}
