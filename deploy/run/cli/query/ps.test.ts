import { expect, test } from 'vitest';
import { PROCESS_KINDS } from '../../../../common/model/process-kinds.ts';
import {
  type ProcessEntry,
  readProcesses,
  storeProcess,
} from '../../../../common/redis/fleet/processes/processes.ts';
import type { ProcessesView } from '../../../../common/views/processes.ts';
import { useHmFixture } from '../testing/hm-fixture.ts';

const fixture = useHmFixture();
const nowMs = () => fixture.context.clock.nowMs();

async function change(kind: string, more: Partial<ProcessEntry>): Promise<void> {
  const { redis } = fixture.context;
  for (const [id, entry] of await readProcesses(redis))
    if (entry.kind === kind) await storeProcess(redis, id, { ...entry, ...more });
}

test('the processes, each with its host, version and last work', async () => {
  await change('sync', { lastWorkMs: nowMs() - 12_000, lagMs: 5 });
  const { code, stdout } = await fixture.hm(['ps', '--utc']);
  expect(code).toBe(0);
  expect(stdout[0]).toMatch(/^KIND +HOST +PID +VERSION +SINCE +LAST WORK +DELAY +WAITS FOR$/);
  expect(stdout.slice(1).map((line) => line.split(/ +/)[0])).toEqual([...PROCESS_KINDS]);
  expect(stdout[2]).toMatch(/^sync +vm-1 +7 +1\.0\.0 +\S+ +\d+ s ago +0 s +-$/);
});

test('a kind without a working copy comes first, with what it means; exit code 1', async () => {
  await change('nudger', { stoppedMs: nowMs() - 22_000 });
  await change('ingest', { problems: { nats: 'not connected yet' }, problemSinceMs: nowMs() - 9_000 });
  const { code, stdout } = await fixture.hm(['ps']);
  expect(code).toBe(1);
  expect(stdout[0]).toMatch(
    /^No ingestor receives heartbeats: what runs is not known, for \d+ s \(NATS: not connected yet\)$/,
  );
  expect(stdout[1]).toMatch(/^No nudger takes jobs: no start leaves, for \d+ s \(none runs\)$/);
  expect(stdout.filter((line) => line.startsWith('nudger'))).toEqual([]);
});

test('--json has the same; versions that differ are named', async () => {
  await change('nudger', { version: '1.1.0' });
  const { code, stdout } = await fixture.hm(['ps', '--json']);
  expect(code).toBe(0);
  const view = JSON.parse(stdout[0] as string) as ProcessesView;
  expect(view.versions).toEqual(['1.0.0', '1.1.0']);
  expect(view.running.map(({ kind }) => kind)).toEqual([...PROCESS_KINDS]);
  const text = await fixture.hm(['ps']);
  expect(text.stdout[0]).toBe('1.0.0 and 1.1.0 run side by side');
});
