import type { Host } from './host.ts';

interface TimerOptions {
  callback: () => void;
  delayMs: number;
  /** As `setInterval`. */
  repeats: boolean;
  /** It runs only while this host runs. */
  host: Host | undefined;
}

/** When a timer is to run. A timer that was closed or refreshed leaves its old entry in the queue. */
interface Entry {
  dueMs: number;
  order: number;
  timer: VirtualTimer;
}

/** What `setTimeout` and `setInterval` return. */
export class VirtualTimer {
  /** Undefined once it is closed, or has run. */
  entry: Entry | undefined;
  readonly options: TimerOptions;
  readonly #queue: TimerQueue;

  constructor(queue: TimerQueue, options: TimerOptions) {
    this.#queue = queue;
    this.options = options;
  }

  /** As Node, an interval leaves out the periods that it missed. */
  run(): void {
    const { callback, host, repeats } = this.options;
    if (repeats) this.#queue.start(this);
    else this.entry = undefined;
    if (host === undefined) callback();
    else host.within(callback);
  }

  close(): this {
    this.entry = undefined;
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  /** The time begins again, also after the timer has run. */
  refresh(): this {
    this.#queue.start(this);
    return this;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Timers by the time when they are due: a binary heap. */
export class TimerQueue {
  readonly #nowMs: () => number;
  readonly #heap: Entry[] = [];
  /** Due timers of hosts that do not run. */
  readonly #held = new Map<Host, Entry[]>();
  #orders = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  add(options: TimerOptions): VirtualTimer {
    const timer = new VirtualTimer(this, options);
    this.start(timer);
    return timer;
  }

  start(timer: VirtualTimer): void {
    timer.entry = { dueMs: this.#nowMs() + timer.options.delayMs, order: this.#orders++, timer };
    this.#put(timer.entry);
  }

  nextDueMs(): number | undefined {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.timer.entry === first && this.#mayRun(first)) return first.dueMs;
      this.#removeFirst();
    }
    return undefined;
  }

  /** The next timer that is due; each is returned once. */
  take(): VirtualTimer | undefined {
    const dueMs = this.nextDueMs();
    return dueMs === undefined || dueMs > this.#nowMs() ? undefined : this.#removeFirst().timer;
  }

  /** Timers of a stopped host wait until it runs again; those of a dead one are dropped. */
  #mayRun(entry: Entry): boolean {
    const { host } = entry.timer.options;
    if (host === undefined || host.isRunning) return true;
    if (host.isDead) return false;
    const held = this.#held.get(host);
    if (held !== undefined) {
      held.push(entry);
      return false;
    }
    this.#held.set(host, [entry]);
    const off = host.onChange(() => {
      off();
      const waiting = this.#held.get(host) ?? [];
      this.#held.delete(host);
      for (const one of waiting) this.#put(one);
    });
    return false;
  }

  #put(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent] as Entry, entry)) break;
      heap[at] = heap[parent] as Entry;
      at = parent;
    }
    heap[at] = entry;
  }

  #removeFirst(): Entry {
    const heap = this.#heap;
    const first = heap[0] as Entry;
    const last = heap.pop() as Entry;
    if (heap.length === 0) return first;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Entry, heap[child] as Entry)) child++;
      if (isBefore(last, heap[child] as Entry)) break;
      heap[at] = heap[child] as Entry;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

const isBefore = (a: Entry, b: Entry) => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
