import type { Clock } from '../../common/clock.ts';
import { LOG_LENGTH } from '../../common/decision-log.ts';
import type { RedisConnections } from '../../common/redis.ts';
import { SupersededError } from './errors.ts';

/** More droplets in one call would keep Redis from its other work for too long. */
const DROPLETS_A_CALL = 256;

/** One pass, and how it writes: every write is refused once another pass has begun. */
export class PassRun {
  readonly redis: RedisConnections;
  readonly clock: Clock;
  /** The pass's number: of two passes the later one has the larger. */
  readonly number: string;
  readonly begunMs: number;

  private constructor(redis: RedisConnections, clock: Clock, number: string, begunMs: number) {
    this.redis = redis;
    this.clock = clock;
    this.number = number;
    this.begunMs = begunMs;
  }

  /** @param owner who begins it: for people */
  static async begin(redis: RedisConnections, clock: Clock, owner: string): Promise<PassRun> {
    const begunMs = clock.now();
    const number = await redis.scripts.syncBegin([redis.keys.syncState], [begunMs, owner]);
    return new PassRun(redis, clock, number, begunMs);
  }

  /**
   * Takes the right to write, everywhere.
   *
   * @returns whether a part of what former passes wrote is lost (a node of a cluster without its data)
   * @throws SupersededError
   */
  async fence(markLost: () => Promise<void>): Promise<boolean> {
    const { client, scripts, keys } = this.redis;
    const fences = [keys.syncPass, ...Array.from({ length: keys.slices }, (_, slice) => keys.passOf(slice))];
    const there = await Promise.all(fences.map((fence) => client.exists(fence)));
    const known = there.reduce((sum, exists) => sum + exists, 0);
    const lost = known > 0 && known < fences.length;
    // Before the fences are there, or a process that dies here would leave no trace of it.
    if (lost) await markLost();
    const taken = await Promise.all(fences.map((fence) => scripts.fence([fence], [this.number])));
    if (taken.includes(0)) throw new SupersededError();
    return lost;
  }

  /**
   * Writes fields of the sync's state, or of another hash of the fleet; an empty value removes the field.
   *
   * @throws SupersededError
   */
  async report(fields: Record<string, string | number>, hash = this.redis.keys.syncState): Promise<void> {
    const { scripts, keys } = this.redis;
    const args = Object.entries(fields).flat();
    if ((await scripts.syncReport([keys.syncState, hash], [this.number, ...args])) === 0)
      throw new SupersededError();
  }

  /**
   * Stores the desired state of droplets.
   *
   * @param words by droplet id; empty: it is listed, but cannot be read
   * @returns how many droplets changed
   * @throws SupersededError
   */
  desired(words: ReadonlyMap<string, string>): Promise<number> {
    const { scripts, keys } = this.redis;
    const nowMs = this.clock.now();
    return this.#perSlice(words.keys(), (slice, ids) => {
      const names = [keys.due(slice), keys.passOf(slice), keys.decisions(slice)];
      let lines = '';
      for (const id of ids) {
        names.push(keys.droplet(id), keys.indexOf(id));
        lines += `${id}\n${words.get(id) ?? ''}\n`;
      }
      return scripts.desired(names, [nowMs, this.begunMs, this.number, lines, LOG_LENGTH]);
    });
  }

  /**
   * Marks droplets as gone from the desired state.
   *
   * @param listedMs when they were last listed
   * @returns how many droplets changed
   * @throws SupersededError
   */
  gone(ids: Iterable<string>, listedMs: number): Promise<number> {
    const { scripts, keys } = this.redis;
    const nowMs = this.clock.now();
    return this.#perSlice(ids, (slice, some) =>
      scripts.gone(
        [keys.due(slice), keys.passOf(slice), keys.decisions(slice), ...some.map((id) => keys.droplet(id))],
        [nowMs, listedMs, this.number, LOG_LENGTH, ...some],
      ),
    );
  }

  async #perSlice(
    ids: Iterable<string>,
    call: (slice: number, ids: string[]) => Promise<number>,
  ): Promise<number> {
    const slices = new Map<number, string[]>();
    const calls: Promise<number>[] = [];
    for (const id of ids) {
      const slice = this.redis.keys.sliceOf(id);
      const some = slices.get(slice);
      if (some === undefined) slices.set(slice, [id]);
      else if (some.push(id) === DROPLETS_A_CALL) {
        calls.push(call(slice, some));
        slices.delete(slice);
      }
    }
    for (const [slice, some] of slices) calls.push(call(slice, some));
    const changed = await Promise.all(calls);
    if (changed.includes(-1)) throw new SupersededError();
    return changed.reduce((sum, n) => sum + n, 0);
  }
}
