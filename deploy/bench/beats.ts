import type { NatsConnection } from 'nats';
import { SUBJECTS } from '../../common/subjects.ts';
import { deaId, entryOf, PER_DEA } from './fleet.ts';

/** Heartbeats that are due leave together, so often. */
const STEP_MS = 5;

/** The heartbeats of a fleet of DEAs, encoded ahead; each DEA's again when something on it has changed. */
export class Beats {
  readonly #nats: NatsConnection;
  /** By DEA, then by place: how many instances have run there, and the state of the one that does. */
  readonly #lives: Uint8Array[] = [];
  readonly #states: string[][] = [];
  readonly #encoded: (Buffer | undefined)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sent = 0;
  #round = 0;

  constructor(nats: NatsConnection) {
    this.#nats = nats;
  }

  /** From now on `deas` DEAs are heard every `periodMs`, one after the other; see `CloudTasks.beat`. */
  start(deas: number, periodMs: number, changes: number): void {
    this.stop();
    this.#grow(deas);
    const beganMs = performance.now();
    let done = 0;
    this.#timer = setInterval(() => {
      const until = Math.floor(((performance.now() - beganMs) / periodMs) * deas);
      for (; done < until; done++) {
        const dea = done % deas;
        if (dea === 0) this.#round++;
        if (changes > 0) this.#change(dea, changes);
        this.#beat(dea);
      }
    }, STEP_MS);
  }

  /** @returns heartbeats sent so far */
  stop(): number {
    clearInterval(this.#timer);
    return this.#sent;
  }

  /** The instance of droplet `n` now; undefined: no DEA lists one. */
  lifeOf(n: number): number | undefined {
    return this.#lives[Math.floor(n / PER_DEA)]?.[n % PER_DEA];
  }

  /** Another instance runs droplet `n` from its DEA's next heartbeat on. */
  replace(n: number): void {
    const dea = Math.floor(n / PER_DEA);
    const lives = this.#lives[dea];
    if (lives === undefined) return;
    lives[n % PER_DEA] = (lives[n % PER_DEA] ?? 0) + 1;
    this.#encoded[dea] = undefined;
  }

  #grow(deas: number): void {
    for (let dea = this.#lives.length; dea < deas; dea++) {
      this.#lives.push(new Uint8Array(PER_DEA));
      this.#states.push(Array.from({ length: PER_DEA }, () => 'RUNNING'));
      this.#encode(dea);
    }
  }

  #change(dea: number, share: number): void {
    const states = this.#states[dea] as string[];
    for (let k = 0; k < PER_DEA * share; k++) {
      const at = (this.#round * 7 + k * 13) % PER_DEA;
      states[at] = states[at] === 'RUNNING' ? 'STARTING' : 'RUNNING';
    }
    this.#encoded[dea] = undefined;
  }

  #beat(dea: number): void {
    this.#nats.publish(SUBJECTS.heartbeat, this.#encoded[dea] ?? this.#encode(dea));
    this.#sent++;
  }

  #encode(dea: number): Buffer {
    const lives = this.#lives[dea] as Uint8Array;
    const states = this.#states[dea] as string[];
    const droplets = states.map((state, at) => entryOf(dea * PER_DEA + at, lives[at] ?? 0, state));
    const bytes = Buffer.from(JSON.stringify({ droplets, dea: deaId(dea) }));
    this.#encoded[dea] = bytes;
    return bytes;
  }
}
