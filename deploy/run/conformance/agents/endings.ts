/** Instances that ended: whether an exit told of it. */
import type { HeartbeatEntry } from '../../../../common/messages/incoming/incoming.ts';
import { isLiveState } from '../../../../common/model/instance-states.ts';
import type { Report } from '../findings.ts';

interface Ending {
  dea: string;
  droplet: string;
  instance: string;
  atMs: number;
  how: string;
}

/** An exit may come a little after the heartbeat that no longer lists its instance. */
const EXIT_WITHIN_MS = 2_000;

/**
 * An agent of Cloud Foundry sends no exit for an instance that it was told to stop. So an ending counts as silent only if nothing seen
 * here can have caused it: no `droplet.exited`, no stop, no change of the app.
 */
export class Endings {
  readonly #exited = new Set<string>();
  readonly #stopped = new Set<string>();
  readonly #updated = new Set<string>();
  readonly #endings: Ending[] = [];

  /** The list of an agent changed. */
  compare(
    dea: string,
    before: readonly HeartbeatEntry[],
    now: readonly HeartbeatEntry[],
    atMs: number,
  ): void {
    const states = new Map(now.map(({ instance, state }) => [instance, state]));
    for (const { instance, droplet, state } of before) {
      const next = states.get(instance);
      if (!isLiveState(state) || (next !== undefined && next !== 'CRASHED')) continue;
      const how = next === undefined ? 'left the list' : 'became CRASHED';
      this.#endings.push({ dea, droplet, instance, atMs, how });
    }
  }

  exited(instance: string): void {
    this.#exited.add(instance);
  }

  stopped(instance: string): void {
    this.#stopped.add(instance);
  }

  updated(droplet: string): void {
    this.#updated.add(droplet);
  }

  finish(atMs: number, report: Report): void {
    for (const { dea, droplet, instance, atMs: endedMs, how } of this.#endings) {
      const isExplained = [this.#exited, this.#stopped].some((known) => known.has(instance));
      if (isExplained || this.#updated.has(droplet) || atMs - endedMs < EXIT_WITHIN_MS) continue;
      report(dea, 'ended_without_exit', `an instance that ran ${how} without droplet.exited`, instance);
    }
  }
}
