import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Deployment } from './deployment.ts';
import { isHm2 } from './dialect-under-test.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

describe('of two copies of an index', () => {
  let deployment: Deployment;
  beforeAll(async () => {
    deployment = await startCloud();
  });
  afterAll(() => deployment.stop());

  test('the younger is stopped once both were listed twice since its first heartbeat', async () => {
    const [old] = await healthyApp(deployment, 'pair', 1);
    await deployment.advance(12);
    const dea = deployment.dea('dea-2');
    const heartbeats = vi.spyOn(dea, 'sendHeartbeat');
    const young = dea.run('pair', 0);
    await deployment.heartbeat();
    expect(deployment.takeSent('pair')).toEqual([]);
    let sent = deployment.takeSentMessages('pair');
    for (let s = 0; s < 25 && sent.length === 0; s++) {
      await deployment.advance(1);
      sent = deployment.takeSentMessages('pair');
    }
    expect(heartbeats.mock.calls.length).toBeGreaterThanOrEqual(2);
    heartbeats.mockRestore();
    expect(sent).toMatchObject([{ kind: 'stop', instance: young, reason: 'duplicate' }]);
    if (isHm2) expect(sent[0]?.message).toMatchObject({ running: { 'pair-v1': 2 } });
    await endInstance(deployment, young, 'STOPPED');
    await deployment.advance(65);
    expect(deployment.takeSent('pair')).toEqual([]);
    expect(deployment.dea('dea-1').guidsOf('pair')).toEqual([old]);
  });

  test('the STARTING one is stopped and the RUNNING one stays, though it is younger', async () => {
    await deployment.desire('slow', {});
    const starting = deployment.dea('dea-1').run('slow', 0, undefined, 'STARTING');
    await deployment.advance(5);
    deployment.dea('dea-2').run('slow', 0);
    await deployment.advance(31);
    expect(deployment.takeSent('slow')).toEqual([`stop ${starting} of slow (duplicate)`]);
    await endInstance(deployment, starting, 'STOPPED');
  });

  test('the one with the smallest guid stays if both are equally old', async () => {
    await deployment.desire('twins', {});
    const guids = ['dea-1', 'dea-2'].map((dea) => deployment.dea(dea).run('twins', 0)).sort();
    await deployment.advance(31);
    expect(deployment.takeSent('twins')).toEqual([`stop ${guids[1]} of twins (duplicate)`]);
    await endInstance(deployment, guids[1], 'STOPPED');
  });

  test('the one on a DEA that has just died does not win over its replacement', async () => {
    await deployment.desire('replaced', {});
    const dea = deployment.dea('dying');
    dea.run('replaced', 0);
    await deployment.advance(20);
    deployment.dea('dea-1').run('replaced', 0); // started by another party while the DEA dies
    dea.die();
    await deployment.advance(60);
    expect(deployment.takeSent('replaced')).toEqual([]);
    deployment.deas.delete('dying');
  });

  test('of three copies one is stopped at a time, and never the last RUNNING one', async () => {
    await deployment.desire('trio', {});
    const [keep, second, third] = ['dea-1', 'dea-2', 'dea-3'].map((dea) =>
      deployment.dea(dea).run('trio', 0),
    );
    let first = deployment.takeSentMessages('trio');
    for (let s = 0; s < 31 && first.length === 0; s++) {
      await deployment.advance(1);
      first = deployment.takeSentMessages('trio');
    }
    expect(first).toHaveLength(1);
    expect([second, third]).toContain(first[0]?.instance);
    await deployment.advance(15);
    expect(deployment.takeSent('trio')).toEqual([]); // the first stop is on its way
    await endInstance(deployment, first[0]?.instance, 'STOPPED');
    await deployment.advance(20);
    const then = deployment.takeSentMessages('trio');
    expect([...first, ...then].map(({ instance }) => instance).sort()).toEqual([second, third].sort());
    await endInstance(deployment, then[0]?.instance, 'STOPPED');
    await deployment.advance(65);
    expect(deployment.takeSent('trio')).toEqual([]);
    expect(deployment.dea('dea-1').guidsOf('trio')).toEqual([keep]);
  });
});
