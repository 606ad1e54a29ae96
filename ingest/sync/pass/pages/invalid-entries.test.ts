import { describe, expect, test } from 'vitest';
import { metricValue } from '../../../../common/testing/context.ts';
import { ids, useSync } from '../../../../deploy/verify/fixtures/sync.ts';

const fixture = useSync();

describe('an invalid entry', () => {
  const invalid: [string, Record<string, unknown>][] = [
    ['state', { state: 'RUNNING' }],
    ['state', { state: undefined }],
    ['instances', { instances: '3' }],
    ['instances', { instances: -1 }],
    ['version', { version: null }],
    ['package_state', { package_state: 'staged' }],
    ['updated_at', { updated_at: 'yesterday' }],
  ];

  test.each(invalid)(
    'with a bad %s leaves the last valid record, and does not affect other entries',
    async (reason, entry) => {
      fixture.put(4);
      await fixture.sync.pass();
      fixture.cc.put('app-1', { ...entry, memory: 1024 });
      fixture.cc.put('app-2', { instances: 3 });
      expect(await fixture.sync.pass()).toBe('complete');
      expect((await fixture.droplet('app-2')).desired?.instances).toBe(3);
      expect(await fixture.droplet('app-1')).toMatchObject({ desired: { instances: 1, memoryMb: 256 } });
      expect(await fixture.goneIds(ids(4))).toEqual([]);
      expect(await fixture.state()).toMatchObject({ listed: '4', rejected: '1' });
      expect(await metricValue(fixture.context.metrics, 'hm_sync_entries_rejected_total', { reason })).toBe(
        1,
      );
      expect(fixture.context.lines).toContainEqual(
        expect.objectContaining({ event: 'bulk_entry_rejected', droplet: 'app-1' }),
      );
      fixture.cc.put('app-1', { memory: 1024 });
      await fixture.sync.pass();
      expect((await fixture.droplet('app-1')).desired?.memoryMb).toBe(1024);
    },
  );

  test('of a droplet that never had a valid one counts as listed', async () => {
    fixture.cc.put('bad', { state: 17 });
    fixture.context.clock.set(7000);
    await fixture.sync.pass();
    const found = await fixture.droplet('bad');
    expect(found.listedMs).toBe(7000);
    expect(found.desired).toBeUndefined();
    fixture.cc.delete('bad');
    await fixture.sync.pass();
    expect(await fixture.goneIds(['bad'])).toEqual(['bad']);
  });

  test('of a droplet that was gone removes its mark', async () => {
    fixture.put(4);
    await fixture.sync.pass();
    fixture.cc.delete('app-1');
    await fixture.sync.pass();
    fixture.cc.put('app-1', { state: 17 });
    await fixture.sync.pass();
    expect(await fixture.goneIds(ids(4))).toEqual([]);
  });

  test('with an id that no droplet can have is not listed', async () => {
    fixture.put(2);
    fixture.cc.put('x'.repeat(300));
    expect(await fixture.sync.pass()).toBe('complete');
    expect(await fixture.state()).toMatchObject({ listed: '2', rejected: '1' });
  });
});
