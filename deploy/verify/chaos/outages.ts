/** When something was impossible, for reasons that may overlap. Times in ms, oldest first. */
export class Outages {
  readonly #all: { fromMs: number; toMs: number }[] = [];
  readonly #reasons = new Set<string>();

  begin(reason: string, nowMs: number): void {
    if (this.#reasons.size === 0) this.#all.push({ fromMs: nowMs, toMs: Number.POSITIVE_INFINITY });
    this.#reasons.add(reason);
  }

  end(reason: string, nowMs: number): void {
    const last = this.#all.at(-1);
    if (this.#reasons.delete(reason) && this.#reasons.size === 0 && last) last.toMs = nowMs;
  }

  /** How long it was possible between two times (ms). */
  withoutMs(fromMs: number, toMs: number): number {
    let leftMs = toMs - fromMs;
    for (const outage of this.#all) {
      leftMs -= Math.max(0, Math.min(outage.toMs, toMs) - Math.max(outage.fromMs, fromMs));
    }
    return leftMs;
  }

  /** When it has been possible for that long since then (ms). */
  afterMs(fromMs: number, durationMs: number): number {
    let atMs = fromMs + durationMs;
    for (const { fromMs: beganMs, toMs } of this.#all) {
      if (toMs > fromMs && beganMs < atMs) atMs += toMs - Math.max(beganMs, fromMs);
    }
    return atMs;
  }
}
