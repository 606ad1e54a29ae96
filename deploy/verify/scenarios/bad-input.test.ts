import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { metricValue } from '../../../common/testing/context.ts';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startCloud();
});
afterAll(() => deployment.stop());

const entry = (droplet: string, overrides: Record<string, unknown> = {}) => ({
  cc_partition: 'default',
  droplet,
  version: `${droplet}-v1`,
  instance: `${droplet}!`,
  index: 0,
  state: 'RUNNING',
  state_timestamp: 1_700_000_000,
  ...overrides,
});

async function rejected(subject: string): Promise<number> {
  const ingest = deployment.processes.find('ingest');
  return metricValue(ingest!.context.metrics, 'hm_messages_rejected_total', { subject });
}

describe('an invalid message changes nothing and is counted', () => {
  test.each([
    [SUBJECTS.heartbeat, 'no JSON {'],
    [SUBJECTS.heartbeat, '[]'],
    [SUBJECTS.heartbeat, '{"droplets":[],"dea":null}'],
    [SUBJECTS.heartbeat, '{"droplets":"none","dea":"dea-1"}'],
    [SUBJECTS.exited, ''],
    [SUBJECTS.exited, '{"droplet":"sound","version":"sound-v1","instance":"i","index":0,"reason":"BORED"}'],
    [
      SUBJECTS.exited,
      '{"droplet":"sound","version":"sound-v1","instance":"i","index":-1,"reason":"CRASHED"}',
    ],
    [
      SUBJECTS.exited,
      '{"droplet":"sound","version":"sound-v1","instance":"i","index":0.5,"reason":"CRASHED"}',
    ],
    [SUBJECTS.exited, '{"droplet":"sound","version":"sound-v1","instance":"","index":0,"reason":"CRASHED"}'],
    [SUBJECTS.updated, '{"droplet":{}}'],
    [SUBJECTS.updated, 'null'],
    [SUBJECTS.shutdown, '{"id":7}'],
  ])('%s %s', async (subject, text) => {
    if (deployment.dea('dea-1').guidsOf('sound').length === 0) await healthyApp(deployment, 'sound', 1);
    const before = await rejected(subject);
    const record = await deployment.observer.client.hgetall(deployment.observer.keys.droplet('sound'));
    deployment.publish(subject, text);
    await deployment.settle();
    expect(await rejected(subject)).toBe(before + 1);
    expect(await deployment.observer.client.hgetall(deployment.observer.keys.droplet('sound'))).toEqual(
      record,
    );
    expect(deployment.takeSent()).toEqual([]);
  });

  test('is logged at most once a second for each reason', async () => {
    // A reason that no earlier test has just caused to be logged.
    const logged = () =>
      deployment.logged('message_rejected').filter(({ reason }) => reason === 'json').length;
    const before = logged();
    for (let n = 0; n < 50; n++) deployment.publish(SUBJECTS.updated, '{');
    await deployment.settle();
    expect(logged() - before).toBeGreaterThan(0);
    expect(logged() - before).toBeLessThanOrEqual(2);
  });
});

describe('a heartbeat with invalid entries', () => {
  test('is stored with its valid entries', async () => {
    await deployment.desire('good', {});
    const droplets = [
      entry('bad', { index: 'x' }),
      null,
      entry('bad', { state: 1 }),
      entry('good'),
      entry('bad', { version: null }),
    ];
    for (let n = 0; n < 5; n++) {
      deployment.publish(SUBJECTS.heartbeat, { droplets, dea: 'odd' });
      await deployment.advance(10);
    }
    expect(deployment.takeSent('good')).toEqual([]);
    await deployment.advance(31);
    expect(deployment.takeSent('good')).toEqual(['start good/0 (missing)']);
    await deployment.desire('good', { state: 'STOPPED' });
  });

  test('is stored without the entries of another partition', async () => {
    await deployment.desire('shared', { instances: 2 });
    const droplets = [
      entry('shared', { cc_partition: 'theirs' }),
      entry('shared', { cc_partition: undefined, index: 1 }),
    ];
    await deployment.advance(1);
    for (let n = 0; n < 4; n++) {
      deployment.publish(SUBJECTS.heartbeat, { droplets, dea: 'mixed' });
      await deployment.advance(10);
    }
    expect(deployment.takeSent('shared')).toEqual(['start shared/0 (missing)']);
    deployment.publish(SUBJECTS.exited, {
      ...entry('shared', { index: 1 }),
      cc_partition: 'theirs',
      reason: 'CRASHED',
    });
    deployment.publish(SUBJECTS.updated, { droplet: 'shared', cc_partition: 'theirs' });
    await deployment.settle();
    expect(deployment.takeSent('shared')).toEqual([]);
    await deployment.desire('shared', { state: 'STOPPED' });
    deployment.takeSentMessages();
    deployment.takeViolations(); // the referee does not know the DEAs that exist only in these messages
  });
});

describe('unusual ids are valid', () => {
  test.each(['__proto__', 'constructor', 'a b:c{d}/é', '0', 'x'.repeat(256)])('%s', async (id) => {
    await deployment.desire(id, { version: '__proto__' });
    const guid = deployment.dea('dea-1').run(id, 0, '__proto__');
    await deployment.heartbeat();
    await endInstance(deployment, guid, 'CRASHED');
    expect(deployment.takeSentMessages(id)).toMatchObject([{ droplet: id, reason: 'crashed' }]);
    const again = deployment.dea('dea-1').run(id, 0, '__proto__');
    await deployment.heartbeat();
    await deployment.desire(id, { state: 'STOPPED' });
    const [stop] = deployment.takeSentMessages(id);
    expect(stop?.text).toContain(`"instances":{"${again}":"__proto__"}`);
    await endInstance(deployment, again, 'STOPPED');
  });

  test('a numeric id equals the string of its digits', async () => {
    await deployment.desire('4711', {});
    deployment.publish(SUBJECTS.heartbeat, { droplets: [entry('4711', { droplet: 4711 })], dea: 'old' });
    await deployment.settle();
    deployment.publish(SUBJECTS.exited, { ...entry('4711', { droplet: 4711 }), reason: 'CRASHED' });
    await deployment.settle();
    expect(deployment.takeSent()).toEqual(['start 4711/0 (crashed)']);
  });
});
