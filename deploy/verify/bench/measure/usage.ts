import { readFileSync } from 'node:fs';

/** The unit of CPU times in `/proc`. */
const TICKS_PER_S = 100;

/** The CPU seconds of a process since its start: user and system, with ended children. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name in brackets may contain any character; the fields after it are numbered from 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = [14, 15, 16, 17].reduce((sum, field) => sum + Number(fields[field - 3]), 0);
  return ticks / TICKS_PER_S;
}

/** The resident memory of a process in MB, now and at its peak. */
export function memoryMbOf(pid: number): { nowMb: number; peakMb: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kb = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN);
  return { nowMb: kb('VmRSS') / 1024, peakMb: kb('VmHWM') / 1024 };
}

/** The CPU seconds of all copies of a process, or of all nodes of Redis (`redis`, `redis 2`, ...). */
export function cpuOfAll(of: ReadonlyMap<string, number>, name: string): number {
  return [...of].reduce((sum, [key, cpu]) => (key.split(' ')[0] === name ? sum + cpu : sum), 0);
}

/** The CPU seconds of processes between two reads. */
export class CpuMeter {
  readonly #pids: ReadonlyMap<string, number>;
  #before: Map<string, number>;
  #beganMs = performance.now();

  constructor(pids: ReadonlyMap<string, number>) {
    this.#pids = pids;
    this.#before = this.#read();
  }

  /** The CPU seconds of each process, and the elapsed seconds, since the last read or the construction. */
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
