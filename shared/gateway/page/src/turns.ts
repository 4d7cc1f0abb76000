/** How long answers take, as the caller meets it: from the end of a caller's words to the first sound of the answer. */

/** Above this a track is heard. Speech is far over it, a noisy room under it. */
const LOUD = 0.012;
/** A pause this long between two sounds of the agent makes the second one an onset. */
const PAUSE_MS = 350;
/** Words are understood within this time of being said; a sound further back belongs to something else. */
const RECENT_MS = 4000;

export interface Turn {
  /** When the caller fell silent, or pressed Enter. */
  ended: number;
  /** When the final words came; null where they were typed. */
  understood: number | null;
  answered: number | null;
}

export class Turns {
  readonly all: Turn[] = [];
  changed = (): void => undefined;
  private spoke = 0;
  private agentHeard = 0;
  private onset = 0;

  /** Tell how loud a side is now. */
  level(who: "caller" | "agent", level: number, now: number): void {
    if (level < LOUD) return;
    if (who === "caller") {
      this.spoke = now;
      return;
    }
    const begins = now - this.agentHeard > PAUSE_MS;
    this.agentHeard = now;
    if (!begins) return;
    this.onset = now;
    const open = this.all.at(-1);
    if (open && open.answered === null && now > open.ended) {
      open.answered = now;
      this.changed();
    }
  }

  /** The caller's final words are known. */
  understood(now: number): void {
    const ended = now - this.spoke < RECENT_MS ? Math.min(this.spoke, now) : now;
    const last = this.all.at(-1);
    const turn = last && last.answered === null && last.understood !== null ? last : this.open();
    turn.ended = ended;
    turn.understood = now;
    // The answer may have begun before its question's text arrived here.
    turn.answered = this.onset > ended ? this.onset : null;
    this.changed();
  }

  typed(now: number): void {
    Object.assign(this.open(), { ended: now });
  }

  private open(): Turn {
    const turn: Turn = { ended: 0, understood: null, answered: null };
    this.all.push(turn);
    return turn;
  }
}
