import { expect, it } from 'vitest';
import { NOW, SECOND, SETTINGS } from '../../../common/testing/builders.ts';
import { Fleet } from './fleet.ts';
import { type Process, seeded } from './truth.ts';

/** Number of random fleets; `HM_FLEETS=10000 npx vitest run analyzer/decide/simulation/fleet.prop.test.ts` for many. */
const FLEETS = Number(process.env.HM_FLEETS ?? 60);
/** Seed of the first fleet; with HM_FLEETS=1 that fleet alone is run again. */
const SEED = Number(process.env.HM_FLEETS_SEED ?? 1);
const LIMIT_MS = 60_000 + FLEETS * 2_000;

const PROCESSES: Process[] = ['ingest', 'sync', 'analyzer', 'nudger', 'cron'];
/** Longer than all bounded times one after the other: holds, lost DEAs, delayed restarts, extra apps and lost jobs. */
const QUIET_S = 3600;
/** Times are shorter than the defaults, so that all of them end within a short history. */
const POLICY = {
  ...SETTINGS,
  desiredStateLostMs: 60 * SECOND,
  minRestartDelayMs: 5 * SECOND,
  maxRestartDelayMs: 20 * SECOND,
  giveupCrashNumber: 0,
  dropletGcGraceMs: 90 * SECOND,
  massLoss: { fraction: 0.55, minimumDeas: 3, holdMs: 60 * SECOND },
  massDelete: { fraction: 0.5, minimumDroplets: 10, holdMs: 60 * SECOND },
};

/** A fleet of up to 50 droplets on up to 8 DEAs, and the events of its history, all drawn from one seed. */
function history(seed: number): { fleet: Fleet; events: string[] } {
  const random = seeded(seed);
  const upTo = (n: number) => Math.floor(random() * (n + 1));
  const one = <T>(from: readonly T[]): T => from[upTo(from.length - 1)] as T;
  // Half of the fleets are small: in a small fleet every kind of event hits the same app sooner.
  const count = 1 + (random() < 0.5 ? upTo(9) : upTo(49));
  const fleet = new Fleet({
    settings: POLICY,
    passEveryS: 20,
    deas: 2 + upTo(6),
    apps: Array.from({ length: count }, () => upTo(4)),
    nowMs: NOW,
    random: seeded(seed + 1_000_000_007),
  });
  const events: string[] = [];
  const app = () => one(fleet.apps);
  const dea = () => one(fleet.environment.deas).name;
  const running = () =>
    fleet.apps.flatMap((of) =>
      of.instances.filter(({ state }) => state !== 'CRASHED').map(({ guid }) => ({ of, guid })),
    );
  const change = (what: string, make: () => Parameters<Fleet['change']>[1]) => () => {
    const [of, isAnnounced, to] = [app(), random() < 0.7, make()];
    events.push(`${what} ${of.record.id}${isAnnounced ? ', announced' : ''}: ${JSON.stringify(to)}`);
    fleet.change(of, to, isAnnounced);
  };
  const happenings: [weight: number, happen: () => void][] = [
    [6, () => run(1 + upTo(34))],
    [6, () => exit()],
    [2, () => silent()],
    [1, () => dies()],
    [2, () => cut()],
    [1, () => outage()],
    [3, () => returns()],
    [1, () => vanishes()],
    [2, () => mapsRoute()],
    [1, () => single()],
    [2, () => copy()],
    [1, () => evacuates()],
    [3, change('scale', () => ({ instances: upTo(4) }))],
    [2, change('push', () => ({ version: `v${events.length}` }))],
    [1, change('stop', () => ({ state: 'STOPPED' }))],
    [2, change('start', () => ({ state: 'STARTED' }))],
    [2, () => lists()],
    [4, () => restart()],
  ];
  function run(seconds: number): void {
    events.push(`${seconds} s pass`);
    fleet.run(seconds);
  }
  function exit(): void {
    const all = running();
    if (all.length === 0) return;
    const { of, guid } = one(all);
    const reason = one(['CRASHED', 'CRASHED', 'STOPPED', 'DEA_SHUTDOWN', 'DEA_EVACUATION'] as const);
    events.push(`${of.record.id} ${guid} ends: ${reason}`);
    of.kill(guid, reason);
  }
  function silent(): void {
    const name = dea();
    events.push(`${name} falls silent`);
    fleet.setReachable(name, false);
  }
  function cut(): void {
    const seconds = 10 + upTo(40);
    events.push(`the network is cut for ${seconds} s`);
    fleet.cut(seconds);
  }
  function outage(): void {
    const seconds = 15 + upTo(random() < 0.5 ? 20 : 200);
    events.push(`NATS is away for ${seconds} s`);
    fleet.outage(seconds);
  }
  function dies(): void {
    const name = dea();
    events.push(`${name} dies`);
    fleet.killDea(name);
  }
  function returns(): void {
    const name = dea();
    events.push(`${name} is back`);
    fleet.setReachable(name, true);
  }
  function vanishes(): void {
    const all = running();
    if (all.length === 0) return;
    const { of, guid } = one(all);
    events.push(`${of.record.id} ${guid} vanishes`);
    of.vanish(guid);
  }
  function mapsRoute(): void {
    const [of, version] = [app(), `r${events.length}`];
    events.push(`a route of ${of.record.id} is mapped: ${version}`);
    of.mapRoute(version);
  }
  function single(): void {
    const name = dea();
    events.push(`${name} lists one instance`);
    for (const of of fleet.apps) of.sendSingle(name);
  }
  function copy(): void {
    const [of, index] = [app(), upTo(4)];
    events.push(`a copy of ${of.record.id} ${index}`);
    of.place({ index });
  }
  function evacuates(): void {
    const name = dea();
    events.push(`${name} evacuates`);
    for (const of of fleet.apps)
      for (const { guid, state, dea } of [...of.instances])
        if (dea === name && state !== 'CRASHED') of.kill(guid, 'DEA_EVACUATION');
  }
  function lists(): void {
    const [isListed, all] = [random() < 0.5, random() < 0.2];
    const of = all ? fleet.apps : [app()];
    events.push(`${isListed ? 'listed' : 'deleted'}: ${all ? 'all' : of[0]?.record.id}`);
    for (const each of of) each.isListed = isListed;
  }
  function restart(): void {
    const which = PROCESSES.filter(() => random() < 0.4);
    const seconds = 1 + (random() < 0.7 ? upTo(9) : upTo(60));
    events.push(`restart of ${which} after ${seconds} s`);
    fleet.kill(which, seconds);
  }

  const lots = happenings.flatMap(([weight, happen]) => Array<() => void>(weight).fill(happen));
  run(35 + upTo(60));
  for (let n = 5 + upTo(30); n > 0; n--) one(lots)();
  return { fleet, events };
}

it(
  'after any history a fleet becomes as the controller wants it, and nothing healthy was hurt',
  () => {
    for (let seed = SEED; seed < SEED + FLEETS; seed++) {
      const { fleet, events } = history(seed);
      for (const { name } of fleet.environment.deas) fleet.setReachable(name, true);
      const quiet = fleet.runUntilQuiet(QUIET_S);
      const end = { quiet, deviations: fleet.deviations, faults: fleet.faults };
      const message = `seed ${seed}\n${events.join('\n')}`;
      expect(end, message).toEqual({ quiet: true, deviations: [], faults: [] });
    }
  },
  LIMIT_MS,
);

/** Twelve apps of three instances on six DEAs, all healthy. */
function healthyFleet(seed: number): Fleet {
  return new Fleet({
    settings: POLICY,
    passEveryS: 20,
    deas: 6,
    apps: Array<number>(12).fill(3),
    nowMs: NOW,
    random: seeded(seed),
  });
}

it('a network cut right after all ingestors were down starts nothing', () => {
  for (let awayS = 1; awayS <= 12; awayS++) {
    for (let backS = 0; backS <= 12; backS++) {
      const seed = SEED + 100 * awayS + backS;
      const fleet = healthyFleet(seed);
      fleet.run(100);
      fleet.kill(['ingest'], awayS);
      fleet.run(awayS + backS);
      fleet.cut(45);
      expect(fleet.faults, `seed ${seed}: away for ${awayS} s, back for ${backS} s`).toEqual([]);
    }
  }
});

it('a NATS outage of any length starts nothing, and a DEA that dies in it is replaced', () => {
  for (let seconds = 5; seconds <= 400; seconds += 5 + Math.floor(seconds / 10)) {
    const fleet = healthyFleet(SEED + 1000 * seconds);
    expect(fleet.runUntilQuiet(QUIET_S)).toBe(true);
    const before = fleet.apps.map(({ started }) => started.length);
    fleet.outage(seconds);
    fleet.run(60);
    const started = fleet.apps.flatMap((app, n) => app.started.slice(before[n]));
    expect({ faults: fleet.faults, started }, `away for ${seconds} s`).toEqual({ faults: [], started: [] });
    fleet.killDea('dea-1');
    fleet.outage(seconds);
    // By then its instances are replaced elsewhere. It comes back empty.
    fleet.run(60);
    fleet.setReachable('dea-1', true);
    expect(fleet.runUntilQuiet(300), `away for ${seconds} s`).toBe(true);
  }
});

it('a network cut while no tick comes starts nothing, though droplets are reconciled meanwhile', () => {
  for (let withoutTicksS = 1; withoutTicksS <= 52; withoutTicksS += 3) {
    for (let beforeS = 0; beforeS <= 30; beforeS += 3) {
      const fleet = healthyFleet(SEED + 100 * withoutTicksS + beforeS);
      fleet.run(100);
      fleet.kill(['cron'], beforeS + withoutTicksS);
      fleet.run(beforeS);
      fleet.cut(65);
      expect(fleet.faults, `no tick from ${beforeS} s before until ${withoutTicksS} s after`).toEqual([]);
    }
  }
});
