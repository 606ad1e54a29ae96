import { readFileSync } from 'node:fs';

/** Linux counts a process's CPU time in these. */
const TICKS_PER_S = 100;

/** CPU seconds (user and system, with children that have ended) of a process since it began. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in brackets, may hold anything; the fields after it are numbered from 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = [14, 15, 16, 17].reduce((sum, field) => sum + Number(fields[field - 3]), 0);
  return ticks / TICKS_PER_S;
}

/** Memory of a process in MB: resident now, and the most it ever was. */
export function memoryMbOf(pid: number): { nowMb: number; peakMb: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kb = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN);
  return { nowMb: kb('VmRSS') / 1024, peakMb: kb('VmHWM') / 1024 };
}

/** CPU seconds by name, over the time between two calls. */
export class CpuMeter {
  readonly #pids: ReadonlyMap<string, number>;
  #before: Map<string, number>;
  #beganMs = performance.now();

  constructor(pids: ReadonlyMap<string, number>) {
    this.#pids = pids;
    this.#before = this.#read();
  }

  /** CPU seconds of each since the meter was made or last read, and the seconds that have passed. */
  read(): { seconds: number; of: Map<string, number>; total: number } {
    const now = this.#read();
    const of = new Map([...now].map(([name, cpu]) => [name, cpu - (this.#before.get(name) ?? 0)]));
    const nowMs = performance.now();
    const seconds = (nowMs - this.#beganMs) / 1000;
    this.#before = now;
    this.#beganMs = nowMs;
    return { seconds, of, total: [...of.values()].reduce((sum, cpu) => sum + cpu, 0) };
  }

  #read(): Map<string, number> {
    return new Map([...this.#pids].map(([name, pid]) => [name, cpuSecondsOf(pid)]));
  }
}
