/** The cord between caller and agent: it swings with whoever speaks. */

import { s } from "./dom";
import type { Meter } from "./meter";

const WIDTH = 400;
const HEIGHT = 96;
const POINTS = 96;
const SWING = 150;

export class Cord {
  readonly element: SVGSVGElement;
  private readonly lines: Record<"caller" | "agent", SVGPathElement>;
  private frame = 0;

  constructor(private readonly meters: () => Record<"caller" | "agent", Meter> | null) {
    this.lines = { caller: s("path", { class: "caller" }), agent: s("path", { class: "agent" }) };
    this.element = s(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "cord", "aria-hidden": "true" },
      this.lines.caller,
      this.lines.agent,
    );
    this.draw();
  }

  /** Swing until `stop`; who asked for less motion sees a still cord. */
  start(): void {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const tick = () => {
      this.draw();
      this.frame = requestAnimationFrame(tick);
    };
    cancelAnimationFrame(this.frame);
    tick();
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
    this.draw();
  }

  private draw(): void {
    const meters = this.meters();
    for (const who of ["caller", "agent"] as const) this.lines[who].setAttribute("d", path(meters?.[who].wave(), who));
  }
}

/** A hanging cord with the wave on it; both ends hold still. */
function path(wave: Float32Array | undefined, who: "caller" | "agent"): string {
  const points = Array.from({ length: POINTS + 1 }, (_, n) => {
    const x = n / POINTS;
    const hold = Math.sin(Math.PI * x) ** 1.5;
    const sample = wave ? (wave[Math.floor(x * (wave.length - 1))] ?? 0) : 0;
    const sag = (who === "caller" ? 16 : 8) * Math.sin(Math.PI * x);
    const y = HEIGHT / 2 + sag - Math.max(-44, Math.min(44, sample * SWING)) * hold;
    return `${(x * WIDTH).toFixed(1)} ${y.toFixed(1)}`;
  });
  return `M${points.join("L")}`;
}
