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
  private awaited = false;

  /** Tell how loud a side is now. */
  level(who: "caller" | "agent", level: number, now: number): void {
    if (level < LOUD) return;
    if (who === "caller") {
      this.spoke = now;
      return;
    }
    const begins = this.awaited || now - this.agentHeard > PAUSE_MS;
    this.agentHeard = now;
    if (!begins) return;
    this.awaited = false;
    this.onset = now;
    const open = this.unanswered(now);
    if (open) {
      open.answered = now;
      this.changed();
    }
  }

  /** The agent begins a line: its next sound is an answer, also where no pause tells it from what the caller cut short. */
  line(now: number): void {
    this.awaited = this.unanswered(now) !== undefined;
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

  private unanswered(now: number): Turn | undefined {
    const last = this.all.at(-1);
    return last && last.answered === null && now > last.ended ? last : undefined;
  }

  private open(): Turn {
    const turn: Turn = { ended: 0, understood: null, answered: null };
    this.all.push(turn);
    return turn;
  }
}
