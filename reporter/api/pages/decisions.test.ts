import { setTimeout as delay } from 'node:timers/promises';
import fastify from 'fastify';
import { expect, test } from 'vitest';
import type { LogEntry } from '../../../common/model/decision-log.ts';
import { Health } from '../../../common/runtime/health.ts';
import { SETTINGS } from '../../../common/testing/builders.ts';
import { useRedis } from '../../../common/testing/context.ts';
import type { DecisionPage } from '../types.ts';
import { addDecisions } from './decisions.ts';

const of = useRedis({ settings: { slices: 4 } });

let written = 0;
async function write(more: Partial<LogEntry>): Promise<LogEntry> {
  const { client, keys } = of.context.redis;
  const entry: LogEntry = {
    atMs: of.context.clock.nowMs() + written++,
    droplet: 'web',
    kind: 'start',
    ...more,
  };
  await client.xadd(keys.decisions(keys.sliceOf(entry.droplet)), '*', 'entry', JSON.stringify(entry));
  // Each has a millisecond of its own.
  await delay(2);
  return entry;
}

/** The reply of the route alone. */
async function get(query: string) {
  const app = fastify();
  const { redis, clock } = of.context;
  addDecisions({ app, health: new Health(), redis, clock, policy: SETTINGS });
  const reply = await app.inject(`/api/decisions?${query}`);
  await app.close();
  return reply;
}
const page = async (query: string) => (await get(query)).json<DecisionPage>();
const texts = async (query: string) =>
  (await page(query)).lines.map(({ droplet, text }) => `${droplet} ${text}`);

async function fill(): Promise<void> {
  await write({ kind: 'exit', exit: 'CRASHED', droplet: 'mailer', index: 0, version: 'v', dea: 'dea-1' });
  await write({ id: 's1', reason: 'crashed', droplet: 'mailer', index: 1, version: 'v' });
  await write({ id: 's2', reason: 'missing', index: 2, version: 'v', dea: 'dea-2', instance: 'i' });
  await write({ kind: 'sent', id: 's1', droplet: 'mailer', reason: 'crashed' });
}

test('newest first, by app, DEA, kind and reason; what is left out explains the rest', async () => {
  await fill();
  expect((await texts('')).map((text) => text.split(' ')[0])).toEqual(['mailer', 'web', 'mailer', 'mailer']);
  expect(await texts('app=WEB')).toEqual([expect.stringContaining('index 2 is missing')]);
  expect(await texts('dea=dea-1')).toEqual([expect.stringContaining('crashed')]);
  // The entry of the sent start has no index of its own.
  expect(await texts('kind=sent')).toEqual(['mailer index 1: start sent (crashed)']);
  expect(await texts('reason=missing,CRASHED')).toHaveLength(2);
  expect(await texts('until=1h')).toEqual([]);
  expect(await texts('since=1h')).toHaveLength(4);
});

test('what one hold keeps back, and a crash loop, are one line each, unless lines are selected', async () => {
  for (const droplet of ['api', 'mail', 'shop'])
    await write({
      kind: 'held',
      what: 'start',
      reason: 'missing',
      hold: 'mass_loss',
      droplet,
      index: 0,
      version: 'v',
    });
  for (let n = 0; n < 5; n++)
    await write({ kind: 'exit', exit: 'CRASHED', instance: `i${n}`, index: 0, version: 'v' });
  const { lines } = await page('');
  expect(lines).toMatchObject([
    { droplet: 'web', text: 'index 0 crashed' },
    {
      droplet: 'web',
      text: expect.stringMatching(/^index 0 crashed 4 times within .* started again each time$/),
    },
    {
      ...{ droplet: '', droplets: ['api', 'mail', 'shop'], hold: 'mass_loss' },
      text: '3 indices of 3 apps are not started: hold mass_loss',
    },
  ]);
  expect(await texts('kind=exit')).toHaveLength(5);
});

test('pages end where the next one begins', async () => {
  for (let n = 0; n < 25; n++) {
    await write({ kind: 'updated', droplet: `app-${n}` });
  }
  const found: string[] = [];
  for (let cursor = ''; ; ) {
    const one = await page(`limit=10${cursor}`);
    found.push(...one.lines.map(({ droplet }) => droplet));
    if (one.cursor === undefined) break;
    cursor = `&cursor=${one.cursor}`;
  }
  expect(found).toEqual(Array.from({ length: 25 }, (_, n) => `app-${24 - n}`));
});

test('as JSON the entries, as CSV one row each that no spreadsheet takes for a formula', async () => {
  const entry = await write({ kind: 'operator', act: 'hold', by: '=cmd("x"),y', note: 'moves', droplet: '' });
  const json = await get('format=json');
  expect(json.headers['content-disposition']).toMatch(/^attachment; filename="decisions-\S+\.json"$/);
  expect(json.json()).toMatchObject({ entries: [entry] });
  const csv = await get('format=csv');
  expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8');
  const [head = '', row = ''] = csv.payload.split('\r\n');
  expect(head).toMatch(/^time,atMs,kind,droplet,index,reason,/);
  expect(row).toContain(`${new Date(entry.atMs).toISOString()},${entry.atMs},operator,,`);
  expect(row).toContain('"\'=cmd(""x""),y",moves');
});

test.each(['kind=nothing', 'reason=x', 'since=soon', 'limit=0', 'limit=10001', 'cursor=x', 'format=xml'])(
  '%s is refused',
  async (query) => {
    const reply = await get(query);
    expect([reply.statusCode, reply.json()]).toEqual([400, { error: expect.stringContaining('expected') }]);
  },
);
