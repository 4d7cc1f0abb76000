/** How loud an audio track is, and its wave. */

const SAMPLES = 512;

export class Meter {
  private context: AudioContext | null = null;
  private analyser: AnalyserNode | null = null;
  private readonly samples = new Float32Array(SAMPLES);

  listen(track: MediaStreamTrack): void {
    this.close();
    this.context = new AudioContext();
    this.analyser = new AnalyserNode(this.context, { fftSize: SAMPLES });
    this.context.createMediaStreamSource(new MediaStream([track])).connect(this.analyser);
  }

  /** The newest samples, -1 to 1; silence where nothing is listened to. */
  wave(): Float32Array {
    if (this.analyser) this.analyser.getFloatTimeDomainData(this.samples);
    else this.samples.fill(0);
    return this.samples;
  }

  /** Root mean square of the newest samples. */
  level(): number {
    let sum = 0;
    for (const one of this.wave()) sum += one * one;
    return Math.sqrt(sum / SAMPLES);
  }

  close(): void {
    void this.context?.close();
    this.context = this.analyser = null;
  }
}
