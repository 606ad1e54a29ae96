import type { PolicySettings } from '../../../common/policy/settings.ts';
import { oldRecordMs } from '../../../common/policy/thresholds.ts';
import type { Clock } from '../../../common/redis/clock.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { expireAllDigests } from '../../../common/redis/scripts/deas/expire-digests.ts';
import { beginPass } from '../../../common/redis/scripts/sync/begin-pass.ts';
import { fencePass } from '../../../common/redis/scripts/sync/fence-pass.ts';
import { markGone } from '../../../common/redis/scripts/sync/mark-gone.ts';
import { reportPass } from '../../../common/redis/scripts/sync/report-pass.ts';
import { storeDesired } from '../../../common/redis/scripts/sync/store-desired.ts';
import { SupersededError } from '../errors.ts';

interface WriterDeps {
  redis: RedisConnections;
  clock: Clock;
  policy: Pick<PolicySettings, 'dropletLostMs'>;
}

/** Writes for one pass. Every write is refused once another pass has begun. */
export class FencedWriter {
  readonly redis: RedisConnections;
  readonly clock: Clock;
  /** The fencing token of the pass: a later pass has a larger number. */
  readonly number: string;
  readonly begunMs: number;

  readonly #oldRecordMs: number;

  private constructor({ redis, clock, policy }: WriterDeps, number: string, begunMs: number) {
    this.redis = redis;
    this.clock = clock;
    this.number = number;
    this.begunMs = begunMs;
    this.#oldRecordMs = oldRecordMs(policy);
  }

  /** Begins a pass. @param deps with its process, shown to operators */
  static async begin(deps: WriterDeps & { owner: string }): Promise<FencedWriter> {
    const begunMs = deps.clock.nowMs();
    const number = await beginPass(deps.redis, { nowMs: begunMs, owner: deps.owner });
    return new FencedWriter(deps, number, begunMs);
  }

  /**
   * Makes this pass the only writer in every slot.
   *
   * @param markLost called before the fences are set, if an earlier pass's data are lost: a process that dies here must
   *   leave a trace of the loss
   * @returns whether some data of earlier passes are lost (a cluster node lost its data)
   * @throws SupersededError
   */
  async fence(markLost: () => Promise<void>): Promise<boolean> {
    const { client, keys } = this.redis;
    const fences = [keys.syncPass, ...Array.from({ length: keys.slices }, (_, slice) => keys.passOf(slice))];
    const exist = await Promise.all(fences.map((fence) => client.exists(fence)));
    const known = exist.reduce((sum, exists) => sum + exists, 0);
    const lost = known > 0 && known < fences.length;
    if (lost) await markLost();
    const taken = await Promise.all(
      fences.map((fence) => fencePass(this.redis, { fence, pass: this.number })),
    );
    if (taken.includes('superseded')) throw new SupersededError();
    return lost;
  }

  /**
   * Writes fields of the sync state, or of another fleet hash. An empty value removes the field.
   *
   * @throws SupersededError
   */
  async report(fields: Record<string, string | number>, hash?: string): Promise<void> {
    unlessSuperseded(await reportPass(this.redis, { pass: this.number, fields, hash }));
  }

  /**
   * Stores the desired state of droplets.
   *
   * @param encoded desired state by droplet id; empty if the droplet is listed with an invalid entry
   * @param unchanged those whose entry is as before, so that they must have a record
   * @param known the others that were listed before, so that they must have one, too
   * @returns how many droplets changed, and those whose record was missing or is not as an earlier pass stored it
   * @throws SupersededError
   */
  async storeDesired(
    encoded: ReadonlyMap<string, string>,
    unchanged: ReadonlySet<string> = new Set(),
    known: ReadonlySet<string> = new Set(),
  ): Promise<{ changed: number; repaired: string[] }> {
    const write = (desired: ReadonlyMap<string, string>, expected?: ReadonlySet<string>) =>
      storeDesired(this.redis, {
        ...{ nowMs: this.clock.nowMs(), begunMs: this.begunMs, pass: this.number },
        oldRecordMs: this.#oldRecordMs,
        ...(expected === undefined ? { desired, wereLost: true } : { desired, expected, known }),
      });
    const { changed, repaired, lost } = unlessSuperseded(await write(encoded, unchanged));
    if (lost.length === 0) return { changed, repaired };
    // A new record lacks instances: before its grace period ends, every DEA must have been stored whole.
    await expireAllDigests(this.redis);
    const again = new Map(lost.map((id) => [id, encoded.get(id) ?? '']));
    const rewritten = unlessSuperseded(await write(again));
    return { changed: changed + rewritten.changed, repaired: [...repaired, ...lost] };
  }

  /**
   * Marks droplets as gone from the desired state.
   *
   * @param listedMs when they were last listed
   * @returns how many droplets changed
   * @throws SupersededError
   */
  async markGone(ids: Iterable<string>, listedMs: number): Promise<number> {
    const gone = { nowMs: this.clock.nowMs(), listedMs, pass: this.number, ids };
    return unlessSuperseded(await markGone(this.redis, gone));
  }
}

/** The result of a write. @throws SupersededError */
function unlessSuperseded<T>(result: T): Exclude<T, 'superseded'> {
  if (result === 'superseded') throw new SupersededError();
  return result as Exclude<T, 'superseded'>;
}
