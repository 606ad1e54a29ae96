import type { Verdict } from './referee.ts';

/** The figures of one kind of fault. */
interface KindLine {
  faults: number;
  /** Rounds with such a fault after which the cloud recovered, and the longest recovery. */
  recoveries: number;
  slowestMs: number;
}

/** The figures of a run, and its report. */
export class Ledger {
  /** Wrong starts and stops, lost instances and other failures, each with its time. */
  readonly problems: string[] = [];
  /** The problems and the unknowable decisions. */
  readonly all: string[] = [];
  readonly events = new Map<string, number>();
  starts = 0;
  stops = 0;
  wrongStarts = 0;
  wrongStops = 0;
  lost = 0;
  /** Problems that are neither a wrong decision nor a lost instance. */
  failures = 0;
  recoveries = 0;
  slowestMs = 0;
  /** How long the machine kept its processes from running (ms); left out of all times. */
  stalledMs = 0;
  /** How often a decision was wrong for a reason that the health manager cannot know, by reason. */
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

  /** The cloud recovered after these kinds of faults. */
  recovered(kinds: Iterable<string>, ms: number): void {
    this.recoveries++;
    this.slowestMs = Math.max(this.slowestMs, ms);
    for (const kind of new Set(kinds)) {
      const line = this.#line(kind);
      line.recoveries++;
      line.slowestMs = Math.max(line.slowestMs, ms);
    }
  }

  /** The cloud did not recover in time. */
  notRecovered(differences: readonly string[]): void {
    this.lost += differences.length;
    for (const difference of differences.slice(0, 20)) this.#addProblem(`lost: ${difference}`);
  }

  message(kind: 'start' | 'stop', { verdict, why }: Verdict, text: string): void {
    if (kind === 'start') this.starts++;
    else this.stops++;
    if (verdict === 'wrong') {
      if (kind === 'start') this.wrongStarts++;
      else this.wrongStops++;
      this.#addProblem(`wrong ${kind}: ${why}: ${text}`);
    } else if (verdict === 'unknowable') {
      const what = `${kind}: ${why?.replace(/[0-9a-f]{32}/g, 'an instance').replace(/index \d+/g, 'its index')}`;
      this.unknowable.set(what, (this.unknowable.get(what) ?? 0) + 1);
      this.all.push(`${now()} ${kind}: ${why}: ${text}`);
    }
  }

  /** A message that violates the contract. */
  malformed(kind: 'start' | 'stop', why: string, text: string): void {
    this.message(kind, { verdict: 'wrong', why }, text);
  }

  /** Another problem. */
  fail(problem: string): void {
    this.failures++;
    this.#addProblem(problem);
  }

  get right(): boolean {
    return this.wrongStarts + this.wrongStops + this.lost + this.failures === 0;
  }

  /** The report at the end of a run. */
  table(): string {
    const rows = [['fault', 'times', 'recoveries', 'slowest']];
    for (const [kind, { faults, recoveries, slowestMs }] of [...this.#kinds].sort()) {
      rows.push([kind, `${faults}`, `${recoveries}`, recoveries === 0 ? '-' : seconds(slowestMs)]);
    }
    rows.push(['all', `${this.faults}`, `${this.recoveries}`, seconds(this.slowestMs)]);
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
      `${seconds(performance.now() - this.#beganMs)}, ${events} events in the cloud, ${this.starts} starts and ${this.stops} stops sent`,
      [...this.events].map(([name, count]) => `${name} ${count}`).join(', '),
      ...[...this.unknowable].map(([what, count]) => `wrong but unknowable, ${count} times: ${what}`),
      ...(this.stalledMs > 0
        ? [`the machine was too busy for ${seconds(this.stalledMs)}, left out of all times`]
        : []),
      `wrong starts ${this.wrongStarts}, wrong stops ${this.wrongStops}, lost ${this.lost}`,
    ].join('\n');
  }

  #line(kind: string): KindLine {
    const line = this.#kinds.get(kind) ?? { faults: 0, recoveries: 0, slowestMs: 0 };
    this.#kinds.set(kind, line);
    return line;
  }

  #addProblem(problem: string): void {
    this.problems.push(`${now()} ${problem}`);
    this.all.push(`${now()} ${problem}`);
  }
}

const now = () => new Date().toISOString();
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
