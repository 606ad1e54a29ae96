/** What hm9000's own acceptance suite demanded, as scenarios that every dialect passes. */
import { afterEach, describe, expect, test } from 'vitest';
import { DIALECTS } from '../../../../common/messages/dialects/dialects.ts';
import type { PolicySettings } from '../../../../common/policy/settings.ts';
import type { Deployment, DeploymentOptions } from '../deployment.ts';
import { endInstance, healthyApp, startCloud } from '../fixtures.ts';

let deployment: Deployment;
afterEach(() => deployment.stop());

/** As `hm migrate-config` sets them, with shorter delays: three crashes are free, and no slot is given up. */
const BACKOFF: Partial<PolicySettings> = {
  flappingDeath: 3,
  flappingTimeoutMs: 240_000,
  minRestartDelayMs: 30_000,
  maxRestartDelayMs: 120_000,
  delayTimeNoiseMs: 0,
  giveupCrashNumber: 0,
};

describe.each(DIALECTS)('%s', (dialect) => {
  const start = async (policy: Partial<PolicySettings> = {}, options: DeploymentOptions = {}) => {
    const settings = { dialect, ...options.settings };
    deployment = await startCloud({ ...options, settings, policy });
  };
  const takeOrder = () => deployment.takeSentMessages().map(({ droplet, reason }) => `${droplet} ${reason}`);
  /** The instance crashes on the DEA that runs it. @returns seconds until it is asked for again */
  const crash = async (guid: string | undefined, upToSeconds: number): Promise<number> => {
    await endInstance(deployment, guid, 'CRASHED');
    for (let waited = 0; waited <= upToSeconds; waited += 5) {
      if (deployment.takeSent().length > 0) return waited;
      await deployment.advance(5);
    }
    return Number.POSITIVE_INFINITY;
  };

  test('of an app whose instances have all crashed only index 0 is started until it runs', async () => {
    await start({ probeCrashedApps: true, flappingDeath: 3 });
    const guids = await healthyApp(deployment, 'down', 3);
    await deployment.processes.stop('analyzer');
    for (const guid of guids) for (const dea of deployment.deas.values()) dea.end(guid, 'CRASHED');
    await deployment.settle();
    await deployment.processes.start('analyzer');
    await deployment.settle();
    expect(deployment.takeSent()).toEqual(['start down/0 (crashed)']);
    await deployment.advance(20);
    expect(deployment.takeSent()).toEqual([]);
    deployment.dea('dea-1').run('down', 0);
    await deployment.advance(11);
    expect(deployment.takeSent().map((sent) => sent.replace(/ \(.*/, ''))).toEqual([
      'start down/1',
      'start down/2',
    ]);
  });

  test('the backoff of a crashing instance grows, stays at its maximum, and is forgotten', async () => {
    await start(BACKOFF);
    let [guid] = await healthyApp(deployment, 'unstable', 1);
    const waits: number[] = [];
    for (let crashes = 1; crashes <= 7; crashes++) {
      waits.push(await crash(guid, 130));
      guid = deployment.dea('dea-1').run('unstable', 0);
      await deployment.heartbeat();
    }
    expect(waits).toEqual([0, 0, 0, 30, 60, 120, 120]);
    await deployment.advance(245);
    expect(await crash(guid, 10)).toBe(0);
  });

  test.each([
    ['a heartbeat', (guid: string) => deployment.dea('dea-1').changeState(guid, 'EVACUATING')],
    ['an exit', (guid: string) => deployment.dea('dea-1').end(guid, 'DEA_EVACUATION')],
  ])('an evacuation by %s starts a new instance first and stops the old one last', async (_, evacuate) => {
    await start();
    const [old] = await healthyApp(deployment, 'moved', 1);
    evacuate(old as string);
    await deployment.heartbeat();
    expect(deployment.takeSent()).toEqual(['start moved/0 (evacuated)']);
    const next = deployment.dea('dea-2').run('moved', 0, undefined, 'STARTING');
    await deployment.heartbeat();
    expect(deployment.takeSent()).toEqual([]);
    deployment.dea('dea-2').changeState(next, 'RUNNING');
    await deployment.heartbeat();
    expect(deployment.takeSent()).toEqual([`stop ${old} of moved (evacuation_complete)`]);
  });

  test('duplicates are stopped one at a time, after two heartbeats of each', async () => {
    await start();
    await healthyApp(deployment, 'web', 2);
    const [second, third] = ['dea-2', 'dea-3'].map((dea) => deployment.dea(dea).run('web', 0));
    await deployment.heartbeat();
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(11);
    const [stop, ...others] = deployment.takeSentMessages();
    expect([stop?.kind, stop?.reason, others]).toEqual(['stop', 'duplicate', []]);
    expect([second, third]).toContain(stop?.instance);
    await endInstance(deployment, stop?.instance, 'STOPPED');
    await deployment.advance(11);
    const [last] = [second, third].filter((guid) => guid !== stop?.instance);
    expect(deployment.takeSent()).toEqual([`stop ${last} of web (duplicate)`]);
    await endInstance(deployment, last, 'STOPPED');
    await deployment.advance(40);
    expect(deployment.takeSent()).toEqual([]);
  });

  test('starts leave by priority, and not more than the limit in a period', async () => {
    const periodMs = 300;
    await start(
      {},
      {
        processes: ['ingest', 'analyzer', 'sync'],
        settings: { startsPerPeriod: 1, startsPeriodMs: periodMs },
      },
    );
    const [crashed] = await healthyApp(deployment, 'crashed', 2);
    const [evacuated] = await healthyApp(deployment, 'evacuated', 2);
    await deployment.desire('missing', {});
    await endInstance(deployment, crashed, 'CRASHED');
    await deployment.advance(31);
    await endInstance(deployment, evacuated, 'DEA_EVACUATION');
    await deployment.processes.start('nudger');
    await expect.poll(() => deployment.sent.length, { interval: 5 }).toBe(3);
    const times = deployment.sent.map(({ realMs }) => realMs);
    expect((times[2] as number) - (times[0] as number)).toBeGreaterThan(1.5 * periodMs);
    expect(takeOrder()).toEqual(['evacuated evacuated', 'missing missing', 'crashed crashed']);
  });

  test('the instances of a DEA that has expired are started elsewhere, once', async () => {
    await start();
    await healthyApp(deployment, 'web', 3);
    deployment.dea('dea-2').connected = false;
    await deployment.advance(25);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(20);
    expect(deployment.takeSent()).toEqual(['start web/1 (missing)']);
    deployment.dea('dea-3').run('web', 1);
    await deployment.advance(40);
    expect(deployment.takeSent()).toEqual([]);
  });

  test('an app that is stopped, shrunk or deleted is stopped', async () => {
    await start();
    const [stopped] = await healthyApp(deployment, 'stopped', 1);
    const [, surplus] = await healthyApp(deployment, 'shrunk', 2);
    await deployment.desire('stopped', { state: 'STOPPED' });
    await deployment.desire('shrunk', { instances: 1 });
    expect(deployment.takeSent()).toEqual(
      [`stop ${stopped} of stopped (stopped)`, `stop ${surplus} of shrunk (extra_index)`].sort(),
    );
  });
});
