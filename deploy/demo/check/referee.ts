import type { NatsConnection } from 'nats';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { isAlive } from '../../run/launcher/process-table.ts';
import type { Cloud, CloudEvent } from '../cloud/cloud.ts';
import { instancesOf, isWanted } from '../cloud/fleet.ts';
import { parseStart } from '../controller/admission.ts';
import type { InstanceView } from '../protocol.ts';

export interface Verdict {
  /** Violations of the rules, each with its time. */
  violations: string[];
  /** The number of requested starts and stops. */
  starts: number;
  stops: number;
}

export interface Referee {
  /** The check is about to kill this instance or DEA, by pid. */
  mayEnd(pid: number): void;
  /** Instances of this app crash on purpose. */
  mayCrash(droplet: string): void;
  /** Ends the watch and returns its result. */
  finish(): Verdict;
}

/**
 * Verifies that no healthy instance is affected. It compares with the actual state: the DEAs' reports and the
 * processes themselves.
 *
 * - No start is requested for a slot whose instance is alive.
 * - No stop is accepted for a wanted instance that is up, unless another runs at its slot, and none for an
 *   instance of an old version before the new version runs.
 * - The controller refuses no request and can parse all of them.
 * - No instance ends except after an accepted stop, or because the check killed it.
 */
export function watchFairness(
  cloud: Pick<Cloud, 'deas' | 'apps' | 'events'>,
  nats: Pick<NatsConnection, 'subscribe'>,
): Referee {
  const killedPids = new Set<number>();
  const crashingApps = new Set<string>();
  /** Guids of accepted stops. */
  const stopped = new Set<string>();
  const verdict: Verdict = { violations: [], starts: 0, stops: 0 };
  const addViolation = (what: string) => verdict.violations.push(`${now()} ${what}`);
  const name = ({ droplet, index, version, pid }: InstanceView) =>
    `${droplet}/${index} of ${version}, pid ${pid},`;

  const starts = nats.subscribe(SUBJECTS.start, {
    callback: (error, message) => {
      verdict.starts++;
      const start = error === null ? parsed(message.string()) : undefined;
      if (start === undefined) return; // the controller reports it as malformed
      const alive = instancesOf(cloud.deas()).find(
        ({ droplet, version, index, state, pid }) =>
          droplet === start.droplet &&
          version === start.version &&
          start.indices.includes(index) &&
          (state === 'STARTING' || state === 'RUNNING') &&
          isAlive(pid),
      );
      if (alive) addViolation(`a start was requested beside ${name(alive)} which is ${alive.state}`);
    },
  });

  function checkStop({ droplet, instances, app }: Extract<CloudEvent, { type: 'stop' }>): void {
    const all = instancesOf(cloud.deas()).filter((instance) => instance.droplet === droplet);
    const running = all.filter(({ state, pid }) => state === 'RUNNING' && isAlive(pid));
    for (const guid of instances) {
      stopped.add(guid);
      // The DEA's report of the stop may arrive before the controller's.
      const named = all.find((instance) => instance.guid === guid && UP.has(instance.state));
      if (named === undefined) continue;
      const other = running.some(({ guid: another, version, index }) => {
        return another !== guid && version === named.version && index === named.index;
      });
      if (isWanted(app, named) && !other) addViolation(`${name(named)} is wanted, and was stopped`);
      const replaced = running.some(({ version }) => version === app?.version);
      if (app?.state === 'STARTED' && named.version !== app.version && !replaced) {
        addViolation(`${name(named)} was stopped before ${app.version} runs`);
      }
    }
  }

  /** Checked at the end, because the controller's report of a stop may arrive after the DEA's report of its effect. */
  const ends: { at: string; instance: InstanceView }[] = [];
  function recordEnds({ dea, before }: Extract<CloudEvent, { type: 'instances' }>): void {
    if (dea.pid !== undefined && dea.state === 'gone' && killedPids.has(dea.pid)) return;
    const listed = new Set(dea.instances.map(({ guid }) => guid));
    for (const instance of before) {
      if (instance.state !== 'CRASHED' && !listed.has(instance.guid)) ends.push({ at: now(), instance });
    }
  }
  function checkEnds(): void {
    for (const { at, instance } of ends) {
      const { guid, droplet, pid } = instance;
      const excused =
        stopped.has(guid) || crashingApps.has(droplet) || (pid !== undefined && killedPids.has(pid));
      if (!excused) verdict.violations.push(`${at} ${name(instance)} ended without an accepted stop`);
    }
  }

  const onEvent = (event: CloudEvent) => {
    if (event.type === 'stop') {
      verdict.stops++;
      if (event.refused === undefined) checkStop(event);
      else addViolation(`the controller refused a stop of ${event.droplet}: ${event.refused}`);
    } else if (event.type === 'start' && event.refused !== undefined) {
      addViolation(`the controller refused a start of ${event.droplet}/${event.index}: ${event.refused}`);
    } else if (event.type === 'malformed') {
      addViolation(`the controller cannot read a ${event.subject}: ${event.why}`);
    } else if (event.type === 'instances') {
      recordEnds(event);
    }
  };
  cloud.events.on('event', onEvent);

  return {
    mayEnd: (pid) => void killedPids.add(pid),
    mayCrash: (droplet) => void crashingApps.add(droplet),
    finish() {
      checkEnds();
      starts.unsubscribe();
      cloud.events.off('event', onEvent);
      return verdict;
    },
  };
}

const UP = new Set(['STARTING', 'RUNNING', 'STOPPING']);

const now = () => new Date().toISOString();

function parsed(text: string) {
  try {
    return parseStart(text);
  } catch {
    return undefined; // malformed: the controller reports it
  }
}
