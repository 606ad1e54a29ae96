/** The DEAs for the dashboard's map. */
import type { SilenceState } from '../../common/policy/fleet/liveness.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { pairsOf } from '../../common/redis/records/pairs.ts';
import type { DeaCell, DeaState } from './types.ts';

export interface Dea {
  dea: string;
  state: DeaState;
  lastHeartbeatMs: number;
  /** Listed by its latest heartbeat. */
  instances: number;
}

/** Reads all known DEAs, in three commands. @param silenceOf see `silenceStates` */
export async function readAllDeas(
  { client, keys }: RedisConnections,
  silenceOf: (lastHeartbeatMs: number) => SilenceState,
): Promise<Dea[]> {
  const [lastHeartbeats, counts, leaving] = await Promise.all([
    client.zrange(keys.deasLastHeartbeat, '0', '-1', 'WITHSCORES'),
    client.hgetall(keys.deasCount),
    client.hkeys(keys.deasShutdown),
  ]);
  const leavingDeas = new Set(leaving);
  const deas: Dea[] = [];
  for (const [dea, score] of pairsOf(lastHeartbeats)) {
    const lastHeartbeatMs = Number(score);
    const state = stateOf(silenceOf(lastHeartbeatMs), leavingDeas.has(dea));
    deas.push({
      dea,
      state,
      lastHeartbeatMs,
      instances: Number(Object.hasOwn(counts, dea) ? counts[dea] : 0),
    });
  }
  return deas;
}

export function stateOf(silence: SilenceState, isLeaving: boolean): DeaState {
  return silence === 'alive' && isLeaving ? 'leaving' : silence;
}

/** The cells of the map at the latest update, to find what changes. */
export class DeaMap {
  #cells = new Map<string, DeaCell>();

  get cells(): DeaCell[] {
    return [...this.#cells.values()];
  }

  /** @returns the changes since the update before */
  update(deas: readonly Dea[]): { cells: DeaCell[]; gone: string[] } {
    const cells: DeaCell[] = [];
    const next = new Map<string, DeaCell>();
    for (const { dea, state, instances } of deas) {
      const before = this.#cells.get(dea);
      const isSame = before !== undefined && before[1] === state && before[2] === instances;
      const cell: DeaCell = isSame ? before : [dea, state, instances];
      if (!isSame) cells.push(cell);
      next.set(dea, cell);
    }
    const gone = [...this.#cells.keys()].filter((dea) => !next.has(dea));
    this.#cells = next;
    return { cells, gone };
  }
}
