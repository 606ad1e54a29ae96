import { performance } from 'node:perf_hooks';
import type { Logger } from '../../../common/runtime/log/log.ts';
import { singleFlight } from '../../../common/runtime/tasks/single-flight.ts';
import type { MessageIntake } from '../../message-intake.ts';
import type { Peers } from './peers.ts';

interface Options {
  intake: Pick<MessageIntake, 'join' | 'leave' | 'generation'>;
  peers: Pick<Peers, 'canAnotherWrite'>;
  log: Logger;
  /** A write to Redis without an answer for this long counts as refused (ms). */
  patienceMs: number;
}

/**
 * The membership of this ingestor in the queue group: the generation it has joined, and whether it writes to Redis.
 *
 * An ingestor that cannot write, while another one can, leaves the group until it can write again. If no other one can, it stays:
 * what it receives waits in its memory.
 */
export class GroupMember {
  readonly #options: Options;
  /** Since when Redis has not answered (ms, monotonic clock); undefined if it has. */
  #waitingSinceMs: number | undefined;
  /** The last generation joined, to join again after leaving. */
  #lastGeneration = 0;
  #departures = 0;
  readonly #leaveOnce = singleFlight(() => this.#leaveIfAnotherCanWrite());

  constructor(options: Options) {
    this.#options = options;
  }

  /** How often it has left: each time it may have missed messages. */
  get departures(): number {
    return this.#departures;
  }

  /** Redis takes writes, as far as this process knows. */
  get canWrite(): boolean {
    return (
      this.#waitingSinceMs === undefined ||
      performance.now() - this.#waitingSinceMs < this.#options.patienceMs
    );
  }

  redisAsked(): void {
    this.#waitingSinceMs ??= performance.now();
  }

  redisAnswered(): void {
    this.#waitingSinceMs = undefined;
  }

  /** @throws BusError when NATS is lost meanwhile */
  async join(generation: number): Promise<void> {
    const { intake, log } = this.#options;
    if (intake.generation === generation) return;
    const isNew = generation !== this.#lastGeneration;
    this.#lastGeneration = generation;
    await intake.join(generation);
    if (isNew)
      log.info({ event: 'generation_joined', generation }, 'queue group of another generation joined');
  }

  /** Leaves, or joins again, if this ingestor cannot write. Never rejects. */
  async leaveIfOnlyOthersCanWrite(): Promise<void> {
    if (!this.canWrite) await this.#leaveOnce();
  }

  async #leaveIfAnotherCanWrite(): Promise<void> {
    const { intake, peers, log } = this.#options;
    const canAnother = await peers.canAnotherWrite();
    if (this.canWrite || canAnother === (intake.generation === undefined)) return;
    if (canAnother) {
      this.#departures++;
      log.warn({ event: 'queue_group_left' }, 'queue group left: only another ingestor can write to Redis');
      await intake.leave();
    } else {
      log.warn({ event: 'queue_group_joined' }, 'queue group joined again: no ingestor can write to Redis');
      await intake.join(this.#lastGeneration).catch(() => undefined); // NATS is lost: it subscribes when it is back
    }
  }
}
