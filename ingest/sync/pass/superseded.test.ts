import { describe, expect, test } from 'vitest';
import { recordOf } from '../../../common/testing/context.ts';
import { ids, useSync } from '../../../deploy/verify/fixtures/sync.ts';
import { SupersededError } from '../errors.ts';
import { FencedWriter } from './fenced-writer.ts';

const fixture = useSync();

describe('a superseded pass', () => {
  test('writes nothing when it resumes', async () => {
    fixture.put(10);
    await fixture.sync.pass();
    fixture.cc.put('app-1', { instances: 2 });
    fixture.cc.delete('app-8');
    let wake = () => {};
    const asleep = new Promise<void>((resolve) => {
      fixture.cc.beforePage = (page) => {
        if (page !== 3) return undefined;
        resolve();
        return new Promise<void>((go) => {
          wake = go;
        });
      };
    });
    const older = fixture.sync.pass();
    await asleep;
    fixture.cc.beforePage = () => undefined;
    fixture.cc.put('app-1', { instances: 3 });
    fixture.cc.put('app-8');
    expect(await fixture.sync.pass()).toBe('complete');
    fixture.cc.put('app-1', { instances: 4 });
    const after = await fixture.state();
    wake();
    expect(await older).toBe('superseded');
    expect(await fixture.state()).toEqual(after);
    expect((await fixture.droplet('app-1')).desired?.instances).toBe(3);
    expect(await fixture.goneIds(ids(10))).toEqual([]);
  });

  test('has its late writes refused in every slot', async () => {
    fixture.put(10);
    const older = await FencedWriter.begin({ ...fixture.sync.deps, owner: 'older' });
    await older.fence(async () => undefined);
    await fixture.sync.pass();
    const before = await recordOf(fixture.context.redis, 'app-1');
    await expect(older.storeDesired(new Map([['app-1', 'x']]))).rejects.toThrow(SupersededError);
    await expect(older.markGone(['app-1'], 1)).rejects.toThrow(SupersededError);
    await expect(older.report({ completed: 1 })).rejects.toThrow(SupersededError);
    await expect(older.fence(async () => undefined)).rejects.toThrow(SupersededError);
    expect(await recordOf(fixture.context.redis, 'app-1')).toEqual(before);
  });
});
