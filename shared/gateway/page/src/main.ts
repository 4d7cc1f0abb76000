/** The page: choose an agent, say who you are, talk, look at what happened. */

import "@fontsource-variable/instrument-sans";
import "./base.css";
import "./page.css";
import "./details.css";

import { Details } from "./details";
import { byId } from "./dom";
import { GatewayError, listAgents, signIn, type Agent, type Metadata } from "./gateway";
import { Lobby } from "./lobby";
import { Talk } from "./talk";
import { followTheme } from "./theme";

const details = new Details();
const talk = new Talk(details, toLobby);
const lobby = new Lobby(details, start);

followTheme(byId("theme"));
byId("signin").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(byId<HTMLInputElement>("bearer").value.trim());
  void open("That token is not accepted.");
});
void open("");

/** Show what may be called; who is not signed in is asked for a token first. */
async function open(refusal: string): Promise<void> {
  let asks = false;
  try {
    lobby.offer(await listAgents());
  } catch (error) {
    asks = error instanceof GatewayError && error.status === 401;
    if (!asks) lobby.refuse(error);
  }
  byId("signin").hidden = !asks;
  byId("about").hidden = asks;
  if (!asks) return;
  byId("bearer-error").textContent = refusal;
  byId("bearer").focus();
}

async function start(agent: Agent, metadata: Metadata, microphone: boolean): Promise<void> {
  await talk.begin(agent, metadata, microphone, () => {
    byId("lobby").hidden = true;
    byId("talk").hidden = false;
  });
}

function toLobby(): void {
  byId("talk").hidden = true;
  byId("lobby").hidden = false;
  lobby.again();
}
