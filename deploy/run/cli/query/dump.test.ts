import { expect, test, vi } from 'vitest';
import { useHmFixture } from '../testing/hm-fixture.ts';

const fixture = useHmFixture();
const nowMs = () => fixture.context.clock.nowMs();
const wanted = (instances: number, state = 'STARTED') =>
  `${state} ${instances}x STAGED version v 256M updated 1398000000`;
const COUNT = 30;

/** COUNT droplets in all slices; `app-0` lacks index 1. */
async function fill(): Promise<void> {
  for (let n = 0; n < COUNT; n++) {
    await fixture.list(`app-${n}`, wanted(n === 0 ? 2 : 1), nowMs() - 100_000);
    await fixture.heartbeat('dea-1', `app-${n}`, { [`i-${n}`]: '0 RUNNING' }, nowMs());
  }
}
const ids = () => Array.from({ length: COUNT }, (_, n) => `app-${n}`).sort();

test('writes one line for each droplet; stores nothing', async () => {
  await fill();
  await fixture.list('idle', wanted(3, 'STOPPED'), nowMs());
  await fixture.heartbeat('dea-1', 'stray', { x: '0 RUNNING' }, nowMs());
  const before = await fixture.dumpRedis();
  const { code, stdout, stderr } = await fixture.hm(['dump']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toHaveLength(COUNT + 2);
  expect(stdout).toContain('app-1: STARTED, 1 of 1 run');
  expect(stdout).toContain('app-0: STARTED, 1 of 2 run; index 1 MISSING, about to be reconciled');
  expect(stdout).toContain('idle: STOPPED');
  expect(stdout).toContain(
    'stray: never listed; another instance of index 0 on dea-1, surplus, not stopped yet',
  );
  expect(await fixture.dumpRedis()).toEqual(before);
});

test('--json writes one droplet a line', async () => {
  await fill();
  const { code, stdout } = await fixture.hm(['dump', '--json']);
  expect(code).toBe(0);
  const droplets = stdout.map((line) => JSON.parse(line) as { droplet: string; missing_indices: number[] });
  expect(droplets.map(({ droplet }) => droplet).sort()).toEqual(ids());
  expect(droplets.filter(({ missing_indices }) => missing_indices.length > 0)).toMatchObject([
    { droplet: 'app-0', missing_indices: [1] },
  ]);
});

test('an empty Redis: no lines', async () => {
  expect(await fixture.hm(['dump'])).toEqual({ code: 0, stdout: [], stderr: '' });
});

test('an unreadable record is reported, and the others are shown', async () => {
  await fill();
  const { client, keys } = fixture.context.redis;
  await client.hset(keys.droplet('app-3'), 'slot:0', 'edited by hand');
  const text = await fixture.hm(['dump']);
  expect(text.code).toBe(1);
  expect(text.stdout).toHaveLength(COUNT - 1);
  expect(text.stderr).toContain('hm: droplet app-3: droplet record: field slot:0');
  const json = await fixture.hm(['dump', '--json']);
  expect(json.code).toBe(1);
  expect(json.stdout.map((line) => JSON.parse(line))).toContainEqual({
    droplet: 'app-3',
    error: expect.stringContaining('slot:0'),
  });
});

/** A standard output whose writes fail later with an event, as those of a pipe do. */
function failing(code: string) {
  return vi.mocked(process.stdout.write).mockImplementation(() => {
    setImmediate(() => process.stdout.emit('error', Object.assign(new Error(`write ${code}`), { code })));
    return false;
  });
}

test('a reader that closes the output ends the command with exit code 0', async () => {
  await fill();
  const write = failing('EPIPE');
  const { code, stderr } = await fixture.hm(['dump', '--json']);
  expect({ code, stderr, writes: write.mock.calls.length }).toEqual({ code: 0, stderr: '', writes: 1 });
});

test('a full disk is a failure', async () => {
  await fill();
  failing('ENOSPC');
  const { code, stderr } = await fixture.hm(['dump', '--json']);
  expect(code).toBe(1);
  expect(stderr).toContain('write ENOSPC');
});

test('waits for a slow reader', async () => {
  await fill();
  let waiting = 0;
  vi.mocked(process.stdout.write).mockImplementation(() => {
    expect(waiting++).toBe(0);
    setImmediate(() => {
      waiting--;
      process.stdout.emit('drain');
    });
    return false;
  });
  expect((await fixture.hm(['dump', '--json'])).code).toBe(0);
  expect(vi.mocked(process.stdout.write).mock.calls.length).toBeGreaterThan(1);
});
