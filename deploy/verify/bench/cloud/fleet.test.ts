import { expect, test } from 'vitest';
import { parseBulkEntry, parseBulkPage } from '../../../../common/messages/bulk.ts';
import { parseHeartbeat } from '../../../../common/messages/incoming/incoming.ts';
import { heartbeatText } from '../../../demo/agent/dea-messages.ts';
import { deaId, dropletId, encodePage, instanceId, instanceOf, versionOf } from './fleet.ts';

test('a million droplets, versions and instances have unique ids', () => {
  const ids = new Set<string>();
  for (let n = 0; n < 1_000_000; n += 7) {
    for (const id of [dropletId(n), versionOf(n), instanceId(n, 0), instanceId(n, 1)]) ids.add(id);
  }
  expect(ids.size).toBe(4 * Math.ceil(1_000_000 / 7));
});

test('a heartbeat of the fleet satisfies the contract', () => {
  const instances = [instanceOf(0, 0, 'RUNNING'), instanceOf(1, 3, 'STARTING')];
  const parsed = parseHeartbeat(Buffer.from(heartbeatText(deaId(0), 'default', instances)), 'default');
  expect(parsed).toMatchObject({ ok: { dea: deaId(0), entries: { length: 2 }, rejected: [] } });
});

test('a page of the fleet satisfies the contract', () => {
  const page = encodePage(500, 503);
  expect(parseBulkPage(Buffer.from(page))).toMatchObject({ ok: {} });
  const { results } = JSON.parse(page) as { results: Record<string, unknown> };
  expect(Object.keys(results)).toEqual([500, 501, 502].map(dropletId));
  for (const [id, entry] of Object.entries(results)) expect(parseBulkEntry(id, entry)).toHaveProperty('ok');
});
