import type { NatsConnection } from 'nats';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { deaId, entryOf, PER_DEA } from './fleet.ts';
import type { Told } from './protocol.ts';

/** Heartbeats that are due leave together, so often. */
const STEP_MS = 5;
/** Shares no divisor with PER_DEA: so many times a step are places all over a DEA. */
const STEP_OF_PLACES = 13;

/** What an instance that changes state with every heartbeat is, in turn. */
const TURNS = ['RUNNING', 'STARTING'] as const;

/**
 * The heartbeats of a fleet of DEAs. Each is encoded once and kept: a steady DEA has one, a DEA on which something
 * changes every time has two that it sends in turn. So sending costs no more than the sending.
 */
export class Beats {
  readonly #nats: NatsConnection;
  /** By DEA, then by place: how many instances have run there. */
  readonly #lives: Uint8Array[] = [];
  /** By DEA: which of its heartbeats was the last. */
  readonly #turns: (0 | 1)[] = [];
  readonly #encoded: [(Buffer | undefined)[], (Buffer | undefined)[]] = [[], []];
  /** By DEA: when it was last heard (`performance.now()`). */
  readonly #sentMs: number[] = [];
  readonly #silent = new Set<number>();
  /** Droplets whose instance has ended and that have no other yet: their DEAs do not list them. */
  readonly #ended = new Set<number>();
  /** Instances of each DEA that change state when any do. */
  #changing = 0;
  #timer: NodeJS.Timeout | undefined;
  #sent = 0;

  constructor(nats: NatsConnection) {
    this.#nats = nats;
  }

  /** From now on `deas` DEAs are heard every `periodMs`, one after the other; see `CloudTasks.beat`. */
  start(deas: number, periodMs: number, changes: number): void {
    this.stop();
    this.#grow(deas);
    const changing = Math.round(PER_DEA * changes);
    if (changing > 0 && changing !== this.#changing) {
      this.#encoded[1] = [];
      this.#changing = changing;
    }
    const beganMs = performance.now();
    let done = 0;
    this.#timer = setInterval(() => {
      const until = Math.floor(((performance.now() - beganMs) / periodMs) * deas);
      for (; done < until; done++) this.#beat(done % deas, changing > 0);
    }, STEP_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** What they have said so far. */
  told(): Told {
    const starting = this.#turns.filter((turn) => turn === 1).length * this.#changing;
    return { sent: this.#sent, starting };
  }

  /** This DEA is not heard any more, until `resume`. @returns when it was last heard (`performance.now()`) */
  silence(dea: number): number {
    this.#silent.add(dea);
    return this.#sentMs[dea] ?? performance.now();
  }

  resume(dea: number): void {
    this.#silent.delete(dea);
  }

  /** The instance of droplet `n` now; undefined: no DEA lists one. */
  lifeOf(n: number): number | undefined {
    return this.#lives[Math.floor(n / PER_DEA)]?.[n % PER_DEA];
  }

  /** The instance of droplet `n` is in no heartbeat any more, until it is replaced. */
  end(n: number): void {
    this.#ended.add(n);
    for (const encoded of this.#encoded) encoded[Math.floor(n / PER_DEA)] = undefined;
  }

  /** Another instance runs droplet `n` from its DEA's next heartbeat on. */
  replace(n: number): void {
    const dea = Math.floor(n / PER_DEA);
    const lives = this.#lives[dea];
    if (lives === undefined) return;
    lives[n % PER_DEA] = (lives[n % PER_DEA] ?? 0) + 1;
    this.#ended.delete(n);
    for (const encoded of this.#encoded) encoded[dea] = undefined;
  }

  #grow(deas: number): void {
    for (let dea = this.#lives.length; dea < deas; dea++) {
      this.#lives.push(new Uint8Array(PER_DEA));
      this.#turns.push(0);
      this.#encode(dea);
    }
  }

  #beat(dea: number, changes: boolean): void {
    if (this.#silent.has(dea)) return;
    if (changes) this.#turns[dea] = this.#turns[dea] === 0 ? 1 : 0;
    const turn = this.#turns[dea] as 0 | 1;
    this.#nats.publish(SUBJECTS.heartbeat, this.#encoded[turn][dea] ?? this.#encode(dea));
    this.#sentMs[dea] = performance.now();
    this.#sent++;
  }

  #encode(dea: number): Buffer {
    const turn = this.#turns[dea] as 0 | 1;
    const states: string[] = Array.from({ length: PER_DEA }, () => TURNS[0]);
    for (let k = 0; k < this.#changing; k++) states[(k * STEP_OF_PLACES) % PER_DEA] = TURNS[turn];
    const lives = this.#lives[dea] as Uint8Array;
    const droplets = states
      .map((state, at) => ({ n: dea * PER_DEA + at, life: lives[at] ?? 0, state }))
      .filter(({ n }) => !this.#ended.has(n))
      .map(({ n, life, state }) => entryOf(n, life, state));
    const bytes = Buffer.from(JSON.stringify({ droplets, dea: deaId(dea) }));
    this.#encoded[turn][dea] = bytes;
    return bytes;
  }
}
