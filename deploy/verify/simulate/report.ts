import { describeItem, type Episode } from './history.ts';
import type { Answer } from './worker.ts';

/**
 * A second of the programs stands for this many virtual seconds: with the intervals of a chaos run (`droplet_lost` 6 s, a
 * heartbeat every second) the simulated deployment has a heartbeat every 400 s and `droplet_lost` of 40 minutes.
 */
export const STRETCH = 400;
export const DAY_MS = 86_400_000 / STRETCH;

const SUMMED = ['episodes', 'events', 'starts', 'stops', 'unknowable', 'passedMs', 'calls'] as const;
type Summed = (typeof SUMMED)[number];

/** Adds up the results of many seeds. */
export class Report {
  readonly failed: Answer[] = [];
  #seeds = 0;
  readonly #faults = new Map<string, number>();
  readonly #sums = Object.fromEntries(SUMMED.map((name) => [name, 0])) as Record<Summed, number>;
  #slowestMs = 0;

  add(answer: Answer): void {
    this.#seeds++;
    for (const name of SUMMED) this.#sums[name] += answer[name];
    for (const [name, count] of answer.faults) this.#faults.set(name, (this.#faults.get(name) ?? 0) + count);
    this.#slowestMs = Math.max(this.#slowestMs, answer.slowestRecoveryMs);
    if (answer.problems.length > 0) this.failed.push(answer);
  }

  get days(): number {
    return this.#sums.passedMs / DAY_MS;
  }

  get faults(): number {
    return [...this.#faults.values()].reduce((sum, count) => sum + count, 0);
  }

  /** @param realMs how long it took */
  text(realMs: number): string {
    const { episodes, events, starts, stops, unknowable, calls } = this.#sums;
    const count = (start: string) =>
      this.failed.flatMap(({ problems }) => problems).filter((problem) => problem.includes(` ${start}:`))
        .length;
    const rows = [...this.#faults].sort().map(([name, times]) => `${name.padEnd(36)}${times}`);
    return [
      ...rows,
      '',
      `${this.#seeds} seeds, ${this.days.toFixed(1)} virtual days in ${(realMs / 1000).toFixed(0)} s: ${episodes} episodes, ` +
        `${this.faults} faults, ${events} events in the cloud, ${starts} starts and ${stops} stops sent, ${calls} calls to Redis`,
      `slowest recovery ${(this.#slowestMs / 1000).toFixed(1)} s of the programs; ${unknowable} messages wrong but unknowable; ` +
        `${count('ended by an error')} processes ended by an error`,
      `wrong starts ${count('wrong start')}, wrong stops ${count('wrong stop')}, lost ${count('lost')}, ` +
        `other problems ${this.failed.length === 0 ? 0 : `in ${this.failed.length} seeds`}`,
    ].join('\n');
  }
}

/** What is shown of a seed that fails. */
export function failureText({ seed, problems, story, digest }: Answer, history: readonly Episode[]): string {
  return [
    `seed ${seed} fails:`,
    ...problems.slice(0, 10).map((problem) => `  ${problem}`),
    `the shortest history that was found to fail (digest ${digest}):`,
    ...history.flatMap((episode, at) => [
      `  episode ${at + 1}`,
      ...episode.map((item) => `    ${describeItem(item)}`),
    ]),
    ...story.map((line) => `  ${line}`),
  ].join('\n');
}
