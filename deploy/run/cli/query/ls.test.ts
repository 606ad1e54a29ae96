import { beforeEach, expect, test } from 'vitest';
import type { AppRow } from '../../../../common/views/apps/app-list-types.ts';
import { useHmFixture } from '../testing/hm-fixture.ts';

const fixture = useHmFixture();
const nowMs = () => fixture.context.clock.nowMs();
const wanted = (instances: number) => `STARTED ${instances}x STAGED version v 256M updated 1398000000`;

beforeEach(async () => {
  for (const [id, instances] of Object.entries({ web: 1, mailer: 2, 'mail-in': 3 }))
    await fixture.list(id, wanted(instances), nowMs() - 100_000);
  await fixture.heartbeat('dea-1', 'web', { a: '0 RUNNING' }, nowMs());
  await fixture.heartbeat('dea-1', 'mailer', { b: '0 RUNNING' }, nowMs());
  const { client, keys } = fixture.context.redis;
  for (const [id, severity] of Object.entries({ mailer: 500_001, 'mail-in': 1_000_003 }))
    await client.zadd(keys.troubled(keys.sliceOf(id)), severity, id);
});

test('all droplets by guid, one a line', async () => {
  const { code, stdout } = await fixture.hm(['ls']);
  expect(code).toBe(0);
  expect(stdout.map((line) => line.split('  ')[0])).toEqual(['mail-in', 'mailer', 'web']);
  expect(stdout[2]).toBe('web  1 of 1 run');
  expect(stdout[1]).toMatch(/^mailer {2}1 of 2 run; index 1 MISSING, about to be reconciled$/);
});

test('by problem, worst first; by a part of the guid', async () => {
  const missing = await fixture.hm(['ls', '--state', 'missing']);
  expect(missing.stdout.map((line) => line.split('  ')[0])).toEqual(['mail-in', 'mailer']);
  expect((await fixture.hm(['ls', '--state', 'surplus,flapping'])).stdout).toEqual([]);
  expect((await fixture.hm(['ls', '--search', 'MAILE'])).stdout.length).toBe(1);
});

test('--limit says that there are more; --json has one object a line', async () => {
  const first = await fixture.hm(['ls', '--limit', '1']);
  expect([first.stdout.length, first.stderr]).toEqual([1, 'hm: there are more: --limit 1\n']);
  const { stdout } = await fixture.hm(['ls', '--json', '--search', 'web']);
  expect(JSON.parse(stdout[0] as string) as AppRow).toMatchObject({ droplet: 'web', live: 1, problems: [] });
});

test('an unknown state is wrong usage', async () => {
  const { code, stderr } = await fixture.hm(['ls', '--state', 'broken']);
  expect(code).toBe(64);
  expect(stderr).toContain('Expected some of missing, flapping, given-up, unplaced, held, surplus');
});
