import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inputs } from '../../../common/testing/property-seed.ts';
import { Deployment } from './deployment.ts';
import { ALL_PROCESSES } from './processes.ts';
import type { TrueInstance } from './scripted-dea.ts';

/** How many random histories. */
const RUNS = inputs(3).numRuns;
const APPS = Array.from({ length: 10 }, (_, n) => `app-${n}`);
const DEAS = ['dea-1', 'dea-2', 'dea-3', 'dea-4'];

/** Shorter than the defaults, so that every bounded time is over within a few minutes. */
const POLICY = {
  desiredStateLostMs: 60_000,
  minRestartDelayMs: 5_000,
  maxRestartDelayMs: 20_000,
  giveupCrashNumber: 0,
  massLoss: { fraction: 0.55, minimumDeas: 3, holdMs: 60_000 },
  massDelete: { fraction: 0.5, minimumDroplets: 10, holdMs: 60_000 },
};
const SETTINGS = { syncPeriodMs: 20_000, postponeUpdateMs: 10_000 };
/** Enough for holds, lost DEAs, extra apps and their stops, one after the other. */
const RECOVERY_S = 400;

const app = fc.constantFrom(...APPS);
const deaId = fc.constantFrom(...DEAS);
const which = fc.nat(30);
const event = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constant('time passes' as const),
      seconds: fc.integer({ min: 1, max: 35 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constant('ends' as const),
      which,
      why: fc.constantFrom('CRASHED', 'CRASHED', 'STOPPED', 'DEA_SHUTDOWN', 'DEA_EVACUATION'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('is unlisted' as const), which }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('is listed again' as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant('copy' as const), app, index: fc.nat(3), dea: deaId }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constantFrom('disconnects' as const, 'dies' as const, 'evacuates' as const),
      dea: deaId,
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('reconnects' as const), dea: deaId }) },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constant('scale' as const),
      app,
      instances: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constantFrom('push' as const, 'stop' as const, 'start' as const, 'delete' as const),
      app,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant('restart' as const),
      processes: fc.subarray([...ALL_PROCESSES], { minLength: 1 }),
      seconds: fc.nat(20),
      which,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constantFrom('nats' as const, 'bulk api' as const),
      seconds: fc.nat(60),
      which,
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('redis' as const) }) },
);
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

/** The instances that truly run. */
function running(deployment: Deployment): TrueInstance[] {
  return [...deployment.deas.values()]
    .flatMap((dea) => [...dea.instances.values()])
    .filter(({ isListed, state }) => isListed && state !== 'CRASHED');
}

function pick<T>(from: T[], which: number): T | undefined {
  return from[which % Math.max(1, from.length)];
}

async function apply(deployment: Deployment, e: Event): Promise<void> {
  const deaOf = (id: string) => deployment.dea(id);
  switch (e.what) {
    case 'time passes':
      return deployment.advance(e.seconds);
    case 'ends': {
      const victim = pick(running(deployment), e.which);
      victim?.dea.end(victim.guid, e.why);
      return deployment.settle();
    }
    case 'is unlisted': {
      const victim = pick(running(deployment), e.which);
      victim?.dea.forget(victim.guid);
      return;
    }
    case 'is listed again': {
      const ended = [...deployment.deas.values()]
        .flatMap(({ instances }) => [...instances.values()])
        .filter(({ isListed }) => !isListed);
      const instance = pick(ended, e.which);
      instance?.dea.resume(instance.guid);
      return;
    }
    case 'copy':
      deaOf(e.dea).run(e.app, e.index, deployment.app(e.app)?.version as string | undefined);
      return;
    case 'disconnects':
      deaOf(e.dea).connected = false;
      return;
    case 'dies':
      deaOf(e.dea).die();
      return;
    case 'evacuates':
      for (const { guid } of running(deployment).filter((instance) => instance.dea.id === e.dea)) {
        deaOf(e.dea).end(guid, 'DEA_EVACUATION');
      }
      return deployment.settle();
    case 'reconnects':
      deaOf(e.dea).connected = true;
      return deployment.heartbeat(deaOf(e.dea));
    case 'scale':
      return deployment.desire(e.app, { instances: e.instances });
    case 'push':
      return deployment.desire(e.app, { version: `v${deployment.clock.nowMs()}` });
    case 'stop':
      return deployment.desire(e.app, { state: 'STOPPED' });
    case 'start':
      return deployment.desire(e.app, { state: 'STARTED' });
    case 'delete':
      return deployment.deleteApp(e.app);
    case 'restart':
      await deployment.processes.stop(...e.processes);
      await deployment.advance(e.seconds);
      await apply(deployment, { what: 'ends', which: e.which, why: 'CRASHED' });
      await deployment.processes.start(...e.processes);
      return deployment.settle();
    case 'nats':
      await deployment.killNats();
      await deployment.advance(e.seconds);
      await apply(deployment, { what: 'ends', which: e.which, why: 'CRASHED' });
      await deployment.restartNats();
      return deployment.tick();
    case 'bulk api':
      deployment.controller.faults.status = { code: 500 };
      await deployment.advance(e.seconds);
      await apply(deployment, { what: 'ends', which: e.which, why: 'CRASHED' });
      delete deployment.controller.faults.status;
      return;
    case 'redis':
      await deployment.emptyRedis();
      return deployment.tick();
  }
}

/** The differences between the fleet and the controller's desired state. */
function differences(deployment: Deployment): string[] {
  const counts = new Map<string, number>();
  for (const { droplet, version, index, state, dea } of running(deployment)) {
    const slot = `${droplet} ${version} ${index}`;
    if (state === 'RUNNING' && dea.connected) counts.set(slot, (counts.get(slot) ?? 0) + 1);
    else counts.set(`${slot} ${state}`, 1);
  }
  const wanted = new Set<string>();
  for (const droplet of APPS) {
    const desired = deployment.app(droplet);
    if (desired?.state !== 'STARTED') continue;
    for (let index = 0; index < (desired.instances as number); index++)
      wanted.add(`${droplet} ${desired.version} ${index}`);
  }
  return [
    ...[...wanted].filter((slot) => !counts.has(slot)).map((slot) => `missing: ${slot}`),
    ...[...counts]
      .filter(([slot, count]) => !wanted.has(slot) || count > 1)
      .map(([slot, count]) => `surplus: ${count} ${slot}`),
  ];
}

test(
  'after any history the fleet matches the desired state, and no healthy instance was harmed',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 8, maxLength: 25 }), async (events) => {
        const deployment = await Deployment.start({
          executesRequests: true,
          policy: POLICY,
          settings: SETTINGS,
        });
        try {
          for (const name of DEAS) deployment.dea(name);
          for (const [n, droplet] of APPS.entries())
            await deployment.desire(droplet, { instances: (n % 3) + 1 }, { announce: false });
          await deployment.advance(35);
          for (const one of events) await apply(deployment, one);
          for (const dea of deployment.deas.values()) dea.connected = true;
          for (let waitedS = 0; waitedS < RECOVERY_S && differences(deployment).length > 0; waitedS += 20)
            await deployment.advance(20);
          expect(differences(deployment)).toEqual([]);
          deployment.takeSentMessages();
          await deployment.advance(40);
          expect(deployment.takeSent()).toEqual([]);
        } finally {
          await deployment.stop();
        }
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  },
  60_000 + RUNS * 60_000,
);
