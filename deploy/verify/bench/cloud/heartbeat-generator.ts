import type { NatsConnection } from 'nats';
import { SUBJECTS } from '../../../../common/messages/subjects.ts';
import { heartbeatText } from '../../../demo/agent/dea-messages.ts';
import { PARTITION } from '../../sim/dea.ts';
import { deaId, instanceOf, PER_DEA } from './fleet.ts';
import type { HeartbeatTotals } from './protocol.ts';

/** How often the heartbeats that are due leave, together. */
const STEP_MS = 5;
/** Spreads the changing instances over a DEA: it shares no divisor with PER_DEA. */
const PLACE_STEP = 13;

/** The states of an instance that changes with every heartbeat, in turn. */
const ALTERNATING_STATES = ['RUNNING', 'STARTING'] as const;

/**
 * Generates the heartbeats of a fleet of DEAs. Each heartbeat is encoded once and kept, so that sending it costs only the
 * publish: a steady DEA has one, a DEA whose instances change has two and alternates between them.
 */
export class HeartbeatGenerator {
  readonly #nats: NatsConnection;
  /** By DEA, then by place: how many instances have run there. */
  readonly #generations: Uint8Array[] = [];
  /** By DEA: which of its two heartbeats was the last. */
  readonly #turns: (0 | 1)[] = [];
  readonly #encoded: [(Buffer | undefined)[], (Buffer | undefined)[]] = [[], []];
  /** By DEA: when its last heartbeat left (`performance.now()`). */
  readonly #sentMs: number[] = [];
  readonly #silent = new Set<number>();
  /** Droplets whose instance has ended and was not replaced yet; heartbeats do not list them. */
  readonly #ended = new Set<number>();
  /** How many instances of each DEA change state, when any do. */
  #changing = 0;
  #timer: NodeJS.Timeout | undefined;
  #sent = 0;

  constructor(nats: NatsConnection) {
    this.#nats = nats;
  }

  /** Sends the heartbeats of `deas` DEAs every `periodMs`, evenly spread; see `CloudTasks.sendHeartbeats`. */
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
      for (; done < until; done++) this.#send(done % deas, changing > 0);
    }, STEP_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  totals(): HeartbeatTotals {
    const starting = this.#turns.filter((turn) => turn === 1).length * this.#changing;
    return { sent: this.#sent, starting };
  }

  /**
   * The DEA sends no heartbeat until `resume`.
   *
   * @returns when its last heartbeat left (`performance.now()`)
   */
  silence(dea: number): number {
    this.#silent.add(dea);
    return this.#sentMs[dea] ?? performance.now();
  }

  resume(dea: number): void {
    this.#silent.delete(dea);
  }

  /** How many instances of droplet `n` have run before the present one; undefined: no DEA lists the droplet. */
  generationOf(n: number): number | undefined {
    return this.#generations[Math.floor(n / PER_DEA)]?.[n % PER_DEA];
  }

  /** Heartbeats do not list the instance of droplet `n` until it is replaced. */
  end(n: number): void {
    this.#ended.add(n);
    for (const encoded of this.#encoded) encoded[Math.floor(n / PER_DEA)] = undefined;
  }

  /** The next heartbeat lists a new instance of droplet `n`. */
  replace(n: number): void {
    const dea = Math.floor(n / PER_DEA);
    const generations = this.#generations[dea];
    if (generations === undefined) return;
    generations[n % PER_DEA] = (generations[n % PER_DEA] ?? 0) + 1;
    this.#ended.delete(n);
    for (const encoded of this.#encoded) encoded[dea] = undefined;
  }

  #grow(deas: number): void {
    for (let dea = this.#generations.length; dea < deas; dea++) {
      this.#generations.push(new Uint8Array(PER_DEA));
      this.#turns.push(0);
      this.#encode(dea);
    }
  }

  #send(dea: number, changes: boolean): void {
    if (this.#silent.has(dea)) return;
    if (changes) this.#turns[dea] = this.#turns[dea] === 0 ? 1 : 0;
    const turn = this.#turns[dea] as 0 | 1;
    this.#nats.publish(SUBJECTS.heartbeat, this.#encoded[turn][dea] ?? this.#encode(dea));
    this.#sentMs[dea] = performance.now();
    this.#sent++;
  }

  #encode(dea: number): Buffer {
    const turn = this.#turns[dea] as 0 | 1;
    const states: string[] = Array.from({ length: PER_DEA }, () => ALTERNATING_STATES[0]);
    for (let k = 0; k < this.#changing; k++) states[(k * PLACE_STEP) % PER_DEA] = ALTERNATING_STATES[turn];
    const generations = this.#generations[dea] as Uint8Array;
    const instances = states
      .map((state, at) => ({ n: dea * PER_DEA + at, generation: generations[at] ?? 0, state }))
      .filter(({ n }) => !this.#ended.has(n))
      .map(({ n, generation, state }) => instanceOf(n, generation, state));
    const bytes = Buffer.from(heartbeatText(deaId(dea), PARTITION, instances));
    this.#encoded[turn][dea] = bytes;
    return bytes;
  }
}
