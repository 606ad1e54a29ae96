import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Host } from './host.ts';
import { TimerQueue, type VirtualTimer } from './timer-queue.ts';

const require = createRequire(import.meta.url);

interface Patch {
  target: object;
  name: string;
  value: unknown;
}

/** The functions of this program itself, which must go on in real time. */
export const real = {
  setImmediate,
  setTimeout,
  clearTimeout,
  now: performance.now.bind(performance),
};

/** The wall clock at the start of a simulation. */
const EPOCH_MS = 1_700_000_000_000;
/** The monotonic clock at the start; not 0, because 0 often stands for "never". */
const STARTED_MS = 1_000_000;
/** Linux's file system in memory: the clock is written at every step, which a disk would make slow. */
const MEMORY = '/dev/shm';
/** A flush of the bus waits for one turn; see `settle`. */
const QUIET_TURNS = 3;

/**
 * The time of a simulation: `Date`, `performance.now()` and all timers of this process follow it while it is installed. It
 * stands still until `advance`. Each host may have a wall clock of its own; `performance.now()` is the same everywhere.
 */
export class VirtualTime {
  /** The file that `virtual-clock.c` reads: the wall clock without any offset. */
  readonly clockFile: string;
  readonly #dir: string;
  readonly #clockFd: number;
  readonly #clockBytes = new BigInt64Array(1);
  readonly #timers = new TimerQueue(() => this.#nowMs);
  readonly #undo: (() => void)[] = [];
  #nowMs = STARTED_MS;
  #activity = 0;
  #writtenMs = 0;

  constructor() {
    this.#dir = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'hm-virtual-time-'));
    this.clockFile = join(this.#dir, 'clock');
    this.#clockFd = openSync(this.clockFile, 'w+');
    this.syncRedisClock();
  }

  /** Milliseconds on the monotonic clock. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Milliseconds since this simulation began. */
  get passedMs(): number {
    return this.#nowMs - STARTED_MS;
  }

  /** When the next timer is due; undefined without one. */
  get nextDueMs(): number | undefined {
    return this.#timers.nextDueMs();
  }

  /** Something happened on a host; see `settle`. */
  noteActivity(): void {
    this.#activity++;
  }

  /**
   * Waits until the code of this process has nothing left to do before a timer or a message: nothing arrived anywhere for
   * some turns of the event loop. Code that chained more turns (`setImmediate`) without either would be overtaken.
   */
  async settle(): Promise<void> {
    for (let quietTurns = 0; quietTurns < QUIET_TURNS; quietTurns++) {
      const before = this.#activity;
      await new Promise<void>((resolve) => real.setImmediate(resolve));
      if (this.#activity !== before) quietTurns = -1;
    }
  }

  /**
   * Moves the clock to `ms`, and runs each timer that is due by then, in the order of their times.
   *
   * @returns how many ran
   */
  advance(ms: number): number {
    this.#nowMs = Math.max(this.#nowMs, ms);
    let ran = 0;
    for (let timer = this.#timers.take(); timer !== undefined; timer = this.#timers.take()) {
      timer.run();
      ran++;
    }
    return ran;
  }

  /** Runs `callback` after `ms`, on the host that calls this. */
  setTimer(callback: () => void, ms: number, repeats = false): VirtualTimer {
    const delayMs = Number.isFinite(ms) && ms >= 1 ? Math.ceil(ms) : 1;
    return this.#timers.add({ callback, delayMs, repeats, host: Host.current() });
  }

  /** A timer of a server, which no host's state stops. */
  setServerTimer(callback: () => void, ms: number): VirtualTimer {
    return this.#timers.add({
      callback,
      delayMs: Math.max(1, Math.ceil(ms)),
      repeats: false,
      host: undefined,
    });
  }

  install(): void {
    const wallMs = () => EPOCH_MS + this.passedMs + (Host.current()?.wallOffsetMs ?? 0);
    const RealDate = Date;
    const VirtualDate = class extends RealDate {
      constructor(...args: unknown[]) {
        super(...((args.length === 0 ? [wallMs()] : args) as [number]));
      }
      static override now(): number {
        return wallMs();
      }
    };
    const setTimer =
      (repeats: boolean) =>
      (callback: (...args: unknown[]) => void, ms = 1, ...args: unknown[]) =>
        this.setTimer(() => callback(...args), ms, repeats);
    const clear = (timer: VirtualTimer | undefined) => timer?.close?.();
    const promised = (ms?: number, value?: unknown, options?: { signal?: AbortSignal }) =>
      this.#delay(ms, value, options?.signal);
    const setTimeout = Object.assign(setTimer(false), { [promisify.custom]: promised });
    const functions = {
      ...{ setTimeout, setInterval: setTimer(true) },
      ...{ clearTimeout: clear, clearInterval: clear },
    };
    const patches: Patch[] = [
      { target: globalThis, name: 'Date', value: VirtualDate },
      { target: performance, name: 'now', value: () => this.#nowMs },
      { target: require('node:timers/promises'), name: 'setTimeout', value: promised },
    ];
    for (const target of [globalThis, require('node:timers')])
      for (const [name, value] of Object.entries(functions)) patches.push({ target, name, value });
    for (const patch of patches) this.#patch(patch);
    syncBuiltinESMExports();
  }

  /** Gives this process its own time back. Timers that are not due yet never run. */
  restore(): void {
    for (const undo of this.#undo.splice(0)) undo();
    syncBuiltinESMExports();
    closeSync(this.#clockFd);
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #patch({ target, name, value }: Patch): void {
    const before = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, { value, configurable: true, writable: true });
    this.#undo.push(() => {
      if (before === undefined) delete (target as Record<string, unknown>)[name];
      else Object.defineProperty(target, name, before);
    });
  }

  #delay(ms = 1, value?: unknown, signal?: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const aborted = () => {
        timer.close();
        reject(
          Object.assign(new Error('The operation was aborted'), { name: 'AbortError', code: 'ABORT_ERR' }),
        );
      };
      const timer = this.setTimer(() => {
        signal?.removeEventListener('abort', aborted);
        resolve(value);
      }, ms);
      if (signal?.aborted) aborted();
      else signal?.addEventListener('abort', aborted, { once: true });
    });
  }

  /** Redis sees the time from now on. It is written only when a call follows, since most steps have none. */
  syncRedisClock(): void {
    if (this.#writtenMs === this.#nowMs) return;
    this.#writtenMs = this.#nowMs;
    this.#clockBytes[0] = BigInt(EPOCH_MS + this.passedMs) * 1000n;
    writeSync(this.#clockFd, new Uint8Array(this.#clockBytes.buffer), 0, 8, 0);
  }
}
