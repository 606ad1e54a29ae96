import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { isAlive } from '../../run/launcher/process-table.ts';
import { differences, instancesOf, runningOf } from '../cloud/fleet.ts';
import { type App, parseApps } from '../controller/apps.ts';
import { DEMO } from '../stage/config.ts';
import type { Stage } from '../stage/stage.ts';
import { CrashWatch } from './crash-watch.ts';
import type { Referee } from './referee.ts';

/** A fault and the condition of its healing. */
export interface Step {
  name: string;
  limitMs: number;
  /** Injects the fault. The time is measured from its return. */
  fault(): void | Promise<void>;
  /** What is not healed yet; empty when all is. */
  pending(): string[];
  /** Checks the healed cloud further. @returns what is wrong */
  verify?(): string | undefined;
  /** Text that replaces the healing time in the report. */
  result?(): string;
}

const CRASHER = 'crasher';
const LOST_MS = DEMO.intervals.droplet_lost * 1000;
/** Five processes start, perhaps on a slow machine; then the grace period of the new slots must end. */
const UP_MS = LOST_MS + 30_000;
/** A stop is sent after the bulk pass that a change triggers. */
const STOP_MS = 3_000;

/** The steps in their order. The app that always crashes runs beside the later steps. */
export function checkSteps(stage: Stage, referee: Referee, startHealthManager: () => Promise<void>): Step[] {
  const { cloud } = stage;
  const desired = new DesiredApps(stage.appsFile);
  let crashes: CrashWatch | undefined;

  const pending = () =>
    differences(desired.apps, cloud.deas()).filter((difference) => !difference.startsWith(`${CRASHER}/`));
  const kill = (pid: number) => {
    referee.mayEnd(pid);
    process.kill(pid, 'SIGKILL');
  };
  /** Pids of the app's instances up to this index. */
  const pidsBelow = (droplet: string, instances: number) =>
    runningOf(cloud.deas(), droplet)
      .filter(({ index }) => index < instances)
      .map(({ pid }) => pid)
      .join(' ');

  const up: Step = {
    name: 'cloud started from empty',
    limitMs: UP_MS,
    fault: startHealthManager,
    pending,
  };

  let victim: { guid: string; pid: number } | undefined;
  const instanceKilled: Step = {
    name: 'instance killed',
    limitMs: 2_000,
    fault() {
      const [first] = runningOf(cloud.deas(), 'web');
      if (first?.pid === undefined) throw new Error('web has no instance to kill');
      victim = { guid: first.guid, pid: first.pid };
      kill(first.pid);
    },
    pending() {
      const isListed = instancesOf(cloud.deas()).some(({ guid }) => guid === victim?.guid);
      return isListed ? ['the killed instance has not ended'] : pending();
    },
  };

  let dead: { id: string | undefined; pids: (number | undefined)[] } | undefined;
  const deaKilled: Step = {
    name: 'DEA killed',
    limitMs: LOST_MS + 2_000,
    fault() {
      const [dea] = [...cloud.deas()].sort((a, b) => b.instances.length - a.instances.length);
      if (dea?.pid === undefined) throw new Error('there is no DEA to kill');
      dead = { id: dea.id, pids: dea.instances.map(({ pid }) => pid) };
      kill(dea.pid);
    },
    pending() {
      const isThere = cloud.deas().some(({ id, state }) => id === dead?.id && state !== 'gone');
      return isThere ? ['the killed DEA has not ended'] : pending();
    },
    verify() {
      const left = dead?.pids.filter(isAlive) ?? [];
      return left.length === 0 ? undefined : `instances outlived their DEA: pids ${left.join(', ')}`;
    },
  };

  const scaledUp: Step = {
    name: 'app scaled up',
    limitMs: LOST_MS + 2_000,
    fault() {
      crashes = new CrashWatch(CRASHER, stage.nats);
      referee.mayCrash(CRASHER);
      desired.add({ name: CRASHER, command: 'sleep 0.3; exit 1' });
      desired.change('api', { instances: 5 });
    },
    pending,
  };

  let kept = '';
  const scaledDown: Step = {
    name: 'app scaled down',
    limitMs: STOP_MS,
    fault() {
      kept = pidsBelow('web', 2);
      desired.change('web', { instances: 2 });
    },
    pending,
    verify: () =>
      pidsBelow('web', 2) === kept
        ? undefined
        : 'other instances than those of the highest indices were stopped',
  };

  const stopped: Step = {
    name: 'app stopped',
    limitMs: STOP_MS,
    fault: () => desired.change('worker', { state: 'STOPPED' }),
    pending,
  };
  const startedAgain: Step = {
    name: 'app started again',
    limitMs: LOST_MS + 2_000,
    fault: () => desired.change('worker', { state: 'STARTED' }),
    pending,
  };
  const pushed: Step = {
    name: 'new version pushed',
    limitMs: LOST_MS + 2_000 + STOP_MS,
    fault: () => desired.change('mailer', { version: 'v2', command: 'exec sleep 86399' }),
    pending,
  };

  const crashing: Step = {
    name: 'app that always crashes',
    limitMs: 60_000,
    fault() {},
    pending: () => (crashes?.done ? [] : ['it is not given up yet']),
    verify: () => crashes?.problem,
    result: () =>
      `restarted after ${crashes?.restarts.map((gapS) => gapS.toFixed(1)).join(', ')} s, then given up`,
  };
  return [up, instanceKilled, deaKilled, scaledUp, scaledDown, stopped, startedAgain, pushed, crashing];
}

/** The desired apps, changed through the apps file as a user does. */
class DesiredApps {
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
