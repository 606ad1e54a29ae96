import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

/** What Redis loses is whole again within this time (s). */
const HEALED_S = 600;

let deployment: Deployment;
beforeEach(async () => {
  // So short that an app which is taken for an extra one would be stopped within the test.
  deployment = await startCloud({ deas: 5, policy: { desiredStateLostMs: 120_000 } });
  await healthyApp(deployment, 'quiet', 3);
  await healthyApp(deployment, 'other', 3);
  await deployment.advance(40);
  expect(deployment.takeSent()).toEqual([]);
});
afterEach(() => deployment.stop());

const remove = async (...patterns: string[]) => {
  const { client } = deployment.observer;
  for (const pattern of patterns) {
    const found = await client.keys(`hm:${pattern}`);
    if (found.length > 0) await client.del(...found);
  }
};
const edit = async (field: string, value: string) => {
  const { client, keys } = deployment.observer;
  await client.hset(keys.droplet('quiet'), field, value);
};
const removeIndexEntry = async (droplet: string) => {
  const { client, keys } = deployment.observer;
  await client.hdel(keys.indexOf(droplet), droplet);
};

describe('a healthy quiet app of which Redis lost', () => {
  test.each<[what: string, lose: () => Promise<void>]>([
    ['the record', () => remove('*:droplet:quiet')],
    ['the index entry', () => removeIndexEntry('quiet')],
    [
      'both',
      async () => {
        await remove('*:droplet:quiet');
        await removeIndexEntry('quiet');
      },
    ],
    ['record, digests and pages', () => remove('*:droplet:quiet', '*:deas:digest', '*:page:*')],
    ['record and DEA lists', () => remove('*:droplet:quiet', '*:deas:list:*')],
    ['all due lists and indexes', () => remove('*:due', '*:droplets:*')],
    ['all records', () => remove('*:droplet:*')],
    ['the revision, which somebody edited', () => edit('rev', 'x')],
    ['a revision that cannot grow, which somebody edited', () => edit('rev', '9'.repeat(19))],
    ['the desired state, which somebody edited', () => edit('desired', '{"instances":')],
    ['a slot, which somebody edited', () => edit('slot:0', 'mine')],
    ['an instance, which somebody edited', () => edit('instance:mine', 'is here')],
    ['the format, by a field that somebody added', () => edit('note', 'looked at this')],
    ['all keys of the fleet but its layout', () => remove('{fleet}:[a-kn-z]*', '{fleet}:listening')],
    ['all keys of the sync', () => remove('{sync}:*', '{fleet}:sync')],
  ])(
    '%s is asked for nothing, is whole again, and its death is noticed',
    async (_, lose) => {
      await lose();
      await deployment.advance(HEALED_S);
      expect(deployment.takeSent()).toEqual([]);
      expect(deployment.takeViolations()).toEqual([]);
      const { client, keys } = deployment.observer;
      expect(await client.hmget(keys.droplet('quiet'), 'desired', 'seen', 'rev')).not.toContain(null);
      expect(await client.hexists(keys.indexOf('quiet'), 'quiet')).toBe(1);
      const [guid] = deployment.dea('dea-1').guidsOf('quiet');
      await endInstance(deployment, guid, 'CRASHED');
      expect(deployment.takeSent('quiet')).toEqual(['start quiet/0 (crashed)']);
      deployment.dea('dea-2').die();
      await deployment.advance(45);
      expect(deployment.takeSent('quiet')).toContain('start quiet/1 (missing)');
    },
    240_000,
  );
});

test('edited keys of the fleet stop nothing', async () => {
  const { client, keys } = deployment.observer;
  for (const [key, fields] of [
    [keys.clock, ['last', 'ahead']],
    [keys.scan, ['audit_slice', 'audit_at', 'tick']],
    [
      keys.syncState,
      ['pass', 'begun', 'completed', 'succeeded', 'requested', 'full_begun', 'full_requested', 'pages'],
    ],
    [keys.listening, ['since', 'until', 'loss_possible_until', 'gaps', 'generation', 'joined']],
    [keys.holds, ['mass_loss', 'mass_delete', 'mass_loss_evaluated']],
  ] as const) {
    await client.hset(key, Object.fromEntries(fields.map((field) => [field, 'by hand'])));
  }
  await deployment.advance(HEALED_S);
  expect(deployment.takeSent()).toEqual([]);
  deployment.dea('dea-2').die();
  await deployment.advance(45);
  expect(deployment.takeSent()).toEqual(['start other/1 (missing)', 'start quiet/1 (missing)']);
}, 240_000);

test.each<[what: string, lose: () => Promise<void>]>([
  [
    'was lost',
    async () => {
      await remove('*:droplet:quiet');
      await removeIndexEntry('quiet');
    },
  ],
  ['could not be read', () => edit('desired', '{"instances":')],
])(
  'an app that was deleted while its record %s is stopped',
  async (_, lose) => {
    await lose();
    await deployment.deleteApp('quiet');
    await deployment.advance(HEALED_S + 200);
    expect(new Set(deployment.takeSentMessages('quiet').map(({ reason }) => reason))).toEqual(
      new Set(['extra_app']),
    );
    expect(deployment.takeSent('other')).toEqual([]);
    // The first stops are sent before the instances of all DEAs are known again, so their `running` counts too few.
    deployment.takeViolations();
  },
  240_000,
);

test('analyzers that start while a key of their cron has another type remove it and work', async () => {
  const { client, keys } = deployment.observer;
  await deployment.processes.stop('analyzer');
  await client.set(`${keys.queuePrefix}:cron:repeat`, 'by hand');
  await deployment.processes.start('analyzer');
  const [guid] = deployment.dea('dea-1').guidsOf('quiet');
  await endInstance(deployment, guid, 'CRASHED');
  expect(deployment.takeSent('quiet')).toEqual(['start quiet/0 (crashed)']);
});
