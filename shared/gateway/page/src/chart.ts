/** The answer times of a call as a small chart: a bar a turn, what it is made of in two colours. */

import { h, s } from "./dom";
import type { Turn } from "./turns";

const SHOWN = 12;
const ROW = 30;
const WIDTH = 360;
const LEFT = 26;
const RIGHT = 54;

export function chart(turns: Turn[]): HTMLElement {
  const done = turns.filter((one) => one.answered !== null);
  if (done.length === 0) {
    return h("p", { class: "empty" }, "Each answer shows here how long it took: from the end of your words to the first sound of the agent.");
  }
  const times = done.map(total).sort((one, other) => one - other);
  const median = times[Math.floor((times.length - 1) / 2)] ?? 0;
  const shown = done.slice(-SHOWN);
  const first = done.length - shown.length;
  const longest = Math.max(1000, ...shown.map(total));
  const scale = (ms: number) => (ms / longest) * (WIDTH - LEFT - RIGHT);
  return h(
    "div",
    { class: "times" },
    h("p", { class: "figure" }, h("strong", {}, seconds(median)), h("span", {}, ` median of ${done.length} ${done.length === 1 ? "answer" : "answers"}`)),
    s(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${shown.length * ROW}`, role: "img", "aria-label": described(shown, first) },
      ...shown.map((turn, row) => bar(turn, first + row + 1, row * ROW, scale)),
    ),
    h("p", { class: "legend" }, h("span", { class: "key understood" }, "your words understood"), h("span", { class: "key answered" }, "answer begun")),
  );
}

function bar(turn: Turn, number: number, y: number, scale: (ms: number) => number): SVGElement {
  const whole = scale(total(turn));
  const part = turn.understood === null ? 0 : scale(Math.min(Math.max(turn.understood - turn.ended, 0), total(turn)));
  return s(
    "g",
    { transform: `translate(0 ${y})` },
    s("text", { x: LEFT - 10, y: 19, class: "number" }, String(number)),
    s("rect", { x: LEFT, y: 6, width: Math.max(whole, 2), height: 18, rx: 3, class: "answered" }),
    part > 0 && s("rect", { x: LEFT, y: 6, width: part, height: 18, rx: 3, class: "understood" }),
    s("text", { x: LEFT + whole + 8, y: 19, class: "total" }, seconds(total(turn))),
  );
}

function total(turn: Turn): number {
  return (turn.answered ?? turn.ended) - turn.ended;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function described(turns: Turn[], first: number): string {
  return `Answer times. ${turns.map((turn, row) => `Turn ${first + row + 1}: ${seconds(total(turn))}`).join(". ")}.`;
}
