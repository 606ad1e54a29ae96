/** The steps of operate.md, "Upgrade": the copies are replaced one after the other, while the platform goes on. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { startNats } from '../../../common/testing/nats/server.ts';
import { startTestRedis } from '../../../common/testing/redis/server.ts';
import { hmProgram } from '../../run/hm-program.ts';
import { type Copy, type Stage, startStage } from '../failover/stage.ts';
import { buildOldRelease, hasOldRelease } from './old-release.ts';

const MIXED_MS = 60_000;

/** Half of the copies of each process: the first of each name. */
const firstOfEach = (copies: readonly Copy[]) =>
  copies.filter((copy, at) => copies.findIndex(({ name }) => name === copy.name) === at);

/** Each copy is replaced by one of the other release, which starts before the old one ends. @returns the copies that run then */
async function replace(stage: Stage, replaced: readonly Copy[], program: string): Promise<Copy[]> {
  const started: Copy[] = [];
  for (const copy of replaced) {
    started.push(await stage.startCopy(copy.name, program));
    expect(await copy.stop(), copy.name).toBe(0);
  }
  return started;
}

test.skipIf(!(await hasOldRelease()))(
  'an upgrade from the last release, both for a minute, and back: no wrong start or stop (needs the history of git)',
  { timeout: 400_000 },
  async () => {
    execFileSync(join(packageRoot, 'deploy', 'setup.sh'), { stdio: 'ignore' });
    const old = await buildOldRelease();
    onTestFinished(old.remove);
    const [redis, nats] = await Promise.all([startTestRedis(), startNats()]);
    onTestFinished(() => Promise.all([redis.stop(), nats.stop()]).then(() => undefined));
    const stage = await startStage({ kind: 'single', url: redis.url }, [nats.url], old.program);
    onTestFinished(() => stage.stop());

    const reporters = await Promise.all([1, 2].map(() => stage.startCopy('reporter', old.program)));
    const copies = [...stage.copies, ...reporters];
    stage.cloud.startLoad();
    const first = firstOfEach(copies);
    const newFirst = await replace(stage, first, hmProgram);
    await delay(MIXED_MS);
    const second = copies.filter((copy) => !first.includes(copy));
    const newSecond = await replace(stage, second, hmProgram);
    await delay(5_000);
    await replace(stage, [...newFirst, ...newSecond], old.program);
    stage.cloud.stopLoad();
    await stage.waitUntilHealthy(30_000);

    expect(stage.cloud.violations).toEqual([]);
    expect(stage.errors()).toEqual([]);
    for (const event of ['audit_miss', 'unreadable_record', 'decision_not_stored'])
      expect(stage.logged(event), event).toEqual([]);
  },
);
