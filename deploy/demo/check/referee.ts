import type { NatsConnection } from 'nats';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Cloud, CloudEvent } from '../cloud.ts';
import { parseStart } from '../controller/admission.ts';
import { instancesOf, isAlive, isWanted } from '../fleet.ts';
import type { InstanceView } from '../protocol.ts';

export interface Verdict {
  /** What was done that must not be, each with its time. */
  violations: string[];
  /** How many starts and stops were asked for. */
  starts: number;
  stops: number;
}

export interface Referee {
  /** From now on this instance or this agent (by pid) may end: we kill it ourselves. */
  mayEnd(pid: number): void;
  /** Instances of this app end by themselves. */
  mayCrash(droplet: string): void;
  /** What was seen until now; nothing is looked at any more. */
  finish(): Verdict;
}

/**
 * Watches that nothing healthy is touched, by the truth: what the agents say of their processes, and the
 * processes themselves.
 *
 * - No start is asked for a slot whose instance is alive.
 * - No stop is accepted for an instance that is wanted and up, unless another runs at its slot; and none
 *   for an old version's before the new one runs.
 * - The controller refuses nothing and can read everything.
 * - No instance ends but for a stop that was accepted, or because of ourselves.
 */
export function watchFairness(
  cloud: Pick<Cloud, 'agents' | 'apps' | 'events'>,
  nats: Pick<NatsConnection, 'subscribe'>,
): Referee {
  const ours = new Set<number>();
  const crashing = new Set<string>();
  /** Guids that an accepted stop named. */
  const stopped = new Set<string>();
  const verdict: Verdict = { violations: [], starts: 0, stops: 0 };
  const blame = (what: string) => verdict.violations.push(`${now()} ${what}`);
  const name = ({ droplet, index, version, pid }: InstanceView) =>
    `${droplet}/${index} of ${version}, pid ${pid},`;

  const starts = nats.subscribe(SUBJECTS.start, {
    callback: (error, message) => {
      verdict.starts++;
      const start = error === null ? parsed(message.string()) : undefined;
      if (start === undefined) return; // the controller tells of it
      const alive = instancesOf(cloud.agents()).find(
        ({ droplet, version, index, state, pid }) =>
          droplet === start.droplet &&
          version === start.version &&
          start.indices.includes(index) &&
          (state === 'STARTING' || state === 'RUNNING') &&
          isAlive(pid),
      );
      if (alive) blame(`a start was asked for beside ${name(alive)} which is ${alive.state}`);
    },
  });

  function judgeStop({ droplet, instances, app }: Extract<CloudEvent, { type: 'stop' }>): void {
    const all = instancesOf(cloud.agents()).filter((instance) => instance.droplet === droplet);
    const running = all.filter(({ state, pid }) => state === 'RUNNING' && isAlive(pid));
    for (const guid of instances) {
      stopped.add(guid);
      // Its agent may have told of the stop before the controller.
      const named = all.find((instance) => instance.guid === guid && UP.has(instance.state));
      if (named === undefined) continue;
      const other = running.some(({ guid: another, version, index }) => {
        return another !== guid && version === named.version && index === named.index;
      });
      if (isWanted(app, named) && !other) blame(`${name(named)} is wanted, and was stopped`);
      const replaced = running.some(({ version }) => version === app?.version);
      if (app?.state === 'STARTED' && named.version !== app.version && !replaced) {
        blame(`${name(named)} was stopped before ${app.version} runs`);
      }
    }
  }

  /** Judged at the end: the controller may tell later of the stop than the agent of its effect. */
  const ends: { at: string; instance: InstanceView }[] = [];
  function noteEnds({ agent, before }: Extract<CloudEvent, { type: 'instances' }>): void {
    if (agent.pid !== undefined && agent.state === 'gone' && ours.has(agent.pid)) return;
    const there = new Set(agent.instances.map(({ guid }) => guid));
    for (const instance of before) {
      if (instance.state !== 'CRASHED' && !there.has(instance.guid)) ends.push({ at: now(), instance });
    }
  }
  function judgeEnds(): void {
    for (const { at, instance } of ends) {
      const { guid, droplet, pid } = instance;
      const excused = stopped.has(guid) || crashing.has(droplet) || (pid !== undefined && ours.has(pid));
      if (!excused) verdict.violations.push(`${at} ${name(instance)} ended though nobody asked for it`);
    }
  }

  const judge = (event: CloudEvent) => {
    if (event.type === 'stop') {
      verdict.stops++;
      if (event.refused === undefined) judgeStop(event);
      else blame(`the controller refused a stop of ${event.droplet}: ${event.refused}`);
    } else if (event.type === 'start' && event.refused !== undefined) {
      blame(`the controller refused a start of ${event.droplet}/${event.index}: ${event.refused}`);
    } else if (event.type === 'malformed') {
      blame(`the controller cannot read a ${event.subject}: ${event.why}`);
    } else if (event.type === 'instances') {
      noteEnds(event);
    }
  };
  cloud.events.on('event', judge);

  return {
    mayEnd: (pid) => void ours.add(pid),
    mayCrash: (droplet) => void crashing.add(droplet),
    finish() {
      judgeEnds();
      starts.unsubscribe();
      cloud.events.off('event', judge);
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
    return undefined; // malformed: the controller tells of it
  }
}
