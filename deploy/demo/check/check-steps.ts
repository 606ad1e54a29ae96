import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { DEMO } from '../config.ts';
import { type App, parseApps } from '../controller/apps.ts';
import { differences, instancesOf, isAlive, runningOf } from '../fleet.ts';
import type { Stage } from '../stage.ts';
import { CrashWatch } from './crash-watch.ts';
import type { Referee } from './referee.ts';

/** One fault and its healing. */
export interface Step {
  name: string;
  limitMs: number;
  /** Does what has to be healed; the time runs from when it returns. */
  fault(): void | Promise<void>;
  /** What is not healed yet; empty: healed. */
  lacking(): string[];
  /** Looks at the healed cloud once more. @returns what is wrong with it */
  verify?(): string | undefined;
  /** What is said of a healed one instead of how long it took. */
  result?(): string;
}

const CRASHER = 'crasher';
const LOST_MS = DEMO.intervals.droplet_lost * 1000;
/** To come up, five processes start on a machine that may be slow; then a new slot has to have its time. */
const UP_MS = LOST_MS + 30_000;
/** A stop goes out as soon as the bulk pass that a change asks for is done. */
const STOP_MS = 3_000;

/** The steps in their order; the app that always crashes does so beside the later ones. */
export function checkSteps(stage: Stage, referee: Referee, startHealthManager: () => Promise<void>): Step[] {
  const { cloud } = stage;
  const wish = new Wish(stage.appsFile);
  let crashes: CrashWatch | undefined;

  const lacking = () =>
    differences(wish.apps, cloud.agents()).filter((difference) => !difference.startsWith(`${CRASHER}/`));
  const kill = (pid: number) => {
    referee.mayEnd(pid);
    process.kill(pid, 'SIGKILL');
  };
  /** Pids of the app's instances up to this index. */
  const pidsBelow = (droplet: string, instances: number) =>
    runningOf(cloud.agents(), droplet)
      .filter(({ index }) => index < instances)
      .map(({ pid }) => pid)
      .join(' ');

  const up: Step = {
    name: 'cloud started from empty',
    limitMs: UP_MS,
    fault: startHealthManager,
    lacking,
  };

  let victim: { guid: string; pid: number } | undefined;
  const instanceKilled: Step = {
    name: 'instance killed',
    limitMs: 2_000,
    fault() {
      const [first] = runningOf(cloud.agents(), 'web');
      if (first?.pid === undefined) throw new Error('web has no instance to kill');
      victim = { guid: first.guid, pid: first.pid };
      kill(first.pid);
    },
    lacking() {
      const there = instancesOf(cloud.agents()).some(({ guid }) => guid === victim?.guid);
      return there ? ['the killed instance has not ended'] : lacking();
    },
  };

  let dead: { id: string | undefined; pids: (number | undefined)[] } | undefined;
  const agentKilled: Step = {
    name: 'agent killed',
    limitMs: LOST_MS + 2_000,
    fault() {
      const [agent] = [...cloud.agents()].sort((a, b) => b.instances.length - a.instances.length);
      if (agent?.pid === undefined) throw new Error('there is no agent to kill');
      dead = { id: agent.id, pids: agent.instances.map(({ pid }) => pid) };
      kill(agent.pid);
    },
    lacking() {
      const there = cloud.agents().some(({ id, state }) => id === dead?.id && state !== 'gone');
      return there ? ['the killed agent has not ended'] : lacking();
    },
    verify() {
      const left = dead?.pids.filter(isAlive) ?? [];
      return left.length === 0 ? undefined : `instances outlived their agent: pids ${left.join(', ')}`;
    },
  };

  const scaledUp: Step = {
    name: 'app scaled up',
    limitMs: LOST_MS + 2_000,
    fault() {
      crashes = new CrashWatch(CRASHER, stage.nats);
      referee.mayCrash(CRASHER);
      wish.add({ name: CRASHER, command: 'sleep 0.3; exit 1' });
      wish.change('api', { instances: 5 });
    },
    lacking,
  };

  let kept = '';
  const scaledDown: Step = {
    name: 'app scaled down',
    limitMs: STOP_MS,
    fault() {
      kept = pidsBelow('web', 2);
      wish.change('web', { instances: 2 });
    },
    lacking,
    verify: () => (pidsBelow('web', 2) === kept ? undefined : 'others than the highest indices went'),
  };

  const stopped: Step = {
    name: 'app stopped',
    limitMs: STOP_MS,
    fault: () => wish.change('worker', { state: 'STOPPED' }),
    lacking,
  };
  const startedAgain: Step = {
    name: 'app started again',
    limitMs: LOST_MS + 2_000,
    fault: () => wish.change('worker', { state: 'STARTED' }),
    lacking,
  };
  const pushed: Step = {
    name: 'new version pushed',
    limitMs: LOST_MS + 2_000 + STOP_MS,
    fault: () => wish.change('mailer', { version: 'v2', command: 'exec sleep 86399' }),
    lacking,
  };

  const crashing: Step = {
    name: 'app that always crashes',
    limitMs: 60_000,
    fault() {},
    lacking: () => (crashes?.done ? [] : ['it is not given up yet']),
    verify: () => crashes?.problem,
    result: () =>
      `restarted after ${crashes?.restarts.map((gapS) => gapS.toFixed(1)).join(', ')} s, then given up`,
  };
  return [up, instanceKilled, agentKilled, scaledUp, scaledDown, stopped, startedAgain, pushed, crashing];
}

/** What is wanted of the cloud, kept in the apps file as a user would. */
class Wish {
  apps: App[];
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
    this.apps = parseApps(readFileSync(file, 'utf8'));
  }

  change(name: string, change: Partial<App>): void {
    this.#write(this.apps.map((app) => (app.name === name ? { ...app, ...change } : app)));
  }

  add(app: Pick<App, 'name' | 'command'>): void {
    this.#write([...this.apps, { instances: 1, state: 'STARTED', version: 'v1', memoryMb: 64, ...app }]);
  }

  #write(apps: App[]): void {
    this.apps = apps;
    const entries = apps.map(({ memoryMb, ...app }) => ({ ...app, memory: memoryMb }));
    writeFileSync(`${this.#file}.new`, stringify({ apps: entries }));
    renameSync(`${this.#file}.new`, this.#file);
  }
}
