/** Finds what has begun and ended: holds, and kinds of processes without a working copy. */
import { operatorHoldLine } from '../../common/explain/sentences/operator-sentences.ts';
import { holdText, timesOf } from '../../common/explain/wording.ts';
import { expectedDeas } from '../../common/model/dea-states.ts';
import type { WebhookBody, WebhookQueue } from '../../common/queues/webhook-queue.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import type { Fleet, HoldState } from '../../common/views/fleet.ts';
import { missingText } from '../../common/views/processes.ts';
import { missingKinds } from '../../common/views/status.ts';

type About = Omit<WebhookBody, 'deployment' | 'id' | 'atMs'>;

/**
 * Reports what is on now and was not before, and holds that have ended. What was reported is in Redis, so of several reporters one
 * reports, and a restart forgets nothing.
 */
export class Alarms {
  readonly #redis: Pick<RedisConnections, 'client' | 'keys'>;
  readonly #queue: WebhookQueue;

  constructor(redis: Pick<RedisConnections, 'client' | 'keys'>, queue: WebhookQueue) {
    this.#redis = redis;
    this.#queue = queue;
  }

  /** To be called every few seconds. */
  async update(fleet: Fleet): Promise<void> {
    const { client, keys } = this.#redis;
    const now = alarmsOf(fleet);
    const known = await client.hgetall(keys.alarms);
    const { nowMs } = fleet;
    for (const [name, about] of now) {
      const isNew = known[name] === undefined && (await client.hset(keys.alarms, name, nowMs)) === 1;
      if (isNew) await this.#queue.addAll({ ...about, id: `${name}-${nowMs}`, atMs: nowMs });
    }
    for (const [name, since] of Object.entries(known)) {
      if (now.has(name) || (await client.hdel(keys.alarms, name)) === 0) continue;
      const [kind, hold = '', holdId] = name.split('/');
      if (kind !== 'hold') continue;
      const text = `hold ${hold}${holdId === undefined ? '' : ` ${holdId}`} has ended`;
      const about = { event: 'hold_off', text, hold, ...(holdId !== undefined && { holdId }) } as const;
      await this.#queue.addAll({
        ...about,
        ...(Number.isFinite(Number(since)) && { sinceMs: Number(since) }),
        ...{ id: `${name}-off-${nowMs}`, atMs: nowMs },
      });
    }
  }
}

/** What is on now, each under its name: `hold/mass_loss`, `hold/operator/<id>`, `process/nudger`. */
function alarmsOf(fleet: Fleet): Map<string, About> {
  const { holds, nowMs, processes, deas } = fleet;
  const times = timesOf(nowMs, true);
  const alarms = new Map<string, About>();
  for (const state of holds) {
    const { hold, on, operatorHolds = [] } = state;
    // On for single droplets, for a second or two.
    if (!on || hold === 'update_required') continue;
    if (hold !== 'operator') alarms.set(`hold/${hold}`, holdAlarm(state, expectedDeas(deas)));
    for (const one of operatorHolds) {
      const text = `${operatorHoldLine(one, times)} (times are UTC)`;
      const about = { event: 'hold_on', hold, holdId: one.id, sinceMs: one.sinceMs, text } as const;
      alarms.set(`hold/operator/${one.id}`, about);
    }
  }
  for (const kind of missingKinds({ processes }, nowMs))
    alarms.set(`process/${kind}`, {
      event: 'no_process',
      process: kind,
      text: missingText(processes, kind, nowMs),
    });
  return alarms;
}

function holdAlarm({ hold, sinceMs, silentDeas, takenOver }: HoldState, allDeas: number): About {
  const text = `hold ${hold} is on: ${holdText(hold, { silent: silentDeas, all: allDeas }, takenOver)}`;
  return { event: 'hold_on', hold, text, ...(sinceMs !== undefined && { sinceMs }) };
}
