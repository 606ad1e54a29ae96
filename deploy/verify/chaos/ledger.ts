import type { Finding } from './referee.ts';

/** What became of the faults of one kind. */
interface KindLine {
  faults: number;
  /** Rounds with such a fault after which the cloud was whole again; the longest that it took. */
  healings: number;
  slowestMs: number;
}

/** Counts what a run has seen, and shows it as a table. */
export class Ledger {
  /** Wrong starts and stops, and what was lost, each with its time. */
  readonly problems: string[] = [];
  /** These, and what could not be known better. */
  readonly all: string[] = [];
  readonly events = new Map<string, number>();
  starts = 0;
  stops = 0;
  wrongStarts = 0;
  wrongStops = 0;
  lost = 0;
  /** What else is not as it must be. */
  failures = 0;
  healings = 0;
  slowestMs = 0;
  /** The machine kept its processes from running for so long: left out of the times. */
  stalledMs = 0;
  /** Not right by the truth, but nobody could have told the health manager; by why. */
  readonly unknowable = new Map<string, number>();
  readonly #kinds = new Map<string, KindLine>();
  readonly #beganMs = performance.now();

  get faults(): number {
    return [...this.#kinds.values()].reduce((sum, { faults }) => sum + faults, 0);
  }

  fault(kind: string): void {
    this.#line(kind).faults++;
  }

  event(name: string): void {
    this.events.set(name, (this.events.get(name) ?? 0) + 1);
  }

  /** The cloud was whole again after these kinds of faults. */
  healed(kinds: Iterable<string>, ms: number): void {
    this.healings++;
    this.slowestMs = Math.max(this.slowestMs, ms);
    for (const kind of new Set(kinds)) {
      const line = this.#line(kind);
      line.healings++;
      line.slowestMs = Math.max(line.slowestMs, ms);
    }
  }

  /** Not whole within the bound. */
  notHealed(differences: readonly string[]): void {
    this.lost += differences.length;
    for (const difference of differences.slice(0, 20)) this.#blame(`lost: ${difference}`);
  }

  message(kind: 'start' | 'stop', { verdict, why }: Finding, text: string): void {
    if (kind === 'start') this.starts++;
    else this.stops++;
    if (verdict === 'wrong') {
      if (kind === 'start') this.wrongStarts++;
      else this.wrongStops++;
      this.#blame(`wrong ${kind}: ${why}: ${text}`);
    } else if (verdict === 'unknowable') {
      const what = `${kind}: ${why?.replace(/[0-9a-f]{32}/g, 'an instance').replace(/index \d+/g, 'its index')}`;
      this.unknowable.set(what, (this.unknowable.get(what) ?? 0) + 1);
      this.all.push(`${now()} ${kind}: ${why}: ${text}`);
    }
  }

  /** The controller or the cloud could not read a message at all. */
  malformed(kind: 'start' | 'stop', why: string, text: string): void {
    this.message(kind, { verdict: 'wrong', why }, text);
  }

  /** Something else is not as it must be. */
  fail(problem: string): void {
    this.failures++;
    this.#blame(problem);
  }

  get right(): boolean {
    return this.wrongStarts + this.wrongStops + this.lost + this.failures === 0;
  }

  /** The end of a run, as a person reads it. */
  table(): string {
    const rows = [['fault', 'times', 'healings', 'slowest']];
    for (const [kind, { faults, healings, slowestMs }] of [...this.#kinds].sort()) {
      rows.push([kind, `${faults}`, `${healings}`, healings === 0 ? '-' : seconds(slowestMs)]);
    }
    rows.push(['all', `${this.faults}`, `${this.healings}`, seconds(this.slowestMs)]);
    const widths = (rows[0] as string[]).map((_, at) =>
      Math.max(...rows.map((row) => (row[at] as string).length)),
    );
    const line = (row: string[]) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] as number))
        .join('  ')
        .trimEnd();
    const events = [...this.events.values()].reduce((sum, count) => sum + count, 0);
    return [
      ...rows.map(line),
      '',
      `${seconds(performance.now() - this.#beganMs)}, ${events} events in the cloud, ${this.starts} starts and ${this.stops} stops asked for`,
      ...[...this.unknowable].map(([what, count]) => `not to be known better, ${count} times: ${what}`),
      ...(this.stalledMs > 0
        ? [`the machine was too busy for ${seconds(this.stalledMs)}, which are left out of the times`]
        : []),
      `wrong starts ${this.wrongStarts}, wrong stops ${this.wrongStops}, lost ${this.lost}`,
    ].join('\n');
  }

  #line(kind: string): KindLine {
    const line = this.#kinds.get(kind) ?? { faults: 0, healings: 0, slowestMs: 0 };
    this.#kinds.set(kind, line);
    return line;
  }

  #blame(problem: string): void {
    this.problems.push(`${now()} ${problem}`);
    this.all.push(`${now()} ${problem}`);
  }
}

const now = () => new Date().toISOString();
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
