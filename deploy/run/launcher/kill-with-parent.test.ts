import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { spawnGuarded } from './kill-with-parent.ts';
import { isAlive } from './testing.ts';

const SILENT = { stdout: 'ignore', stderr: 'ignore' } as const;

test('the pid, the output and the exit code are those of the program', async () => {
  const child = await spawnGuarded('/bin/sh', ['-c', 'echo $$; exit 7'], {
    stdout: 'pipe',
    stderr: 'ignore',
  });
  if (!child.stdout) throw new Error('no stdout');
  expect((await text(child.stdout)).trim()).toBe(String(child.pid));
  expect(await child.exited).toBe(7);
});

test('arguments arrive as they are', async () => {
  const args = ['a b', '$HOME', '"', "'", ''];
  const child = await spawnGuarded('/bin/sh', ['-c', 'printf "%s|" "$@"', 'name', ...args], {
    stdout: 'pipe',
    stderr: 'ignore',
  });
  if (!child.stdout) throw new Error('no stdout');
  expect(await text(child.stdout)).toBe(args.map((argument) => `${argument}|`).join(''));
  await child.exited;
});

test('an environment is given on', async () => {
  const env = { PATH: process.env.PATH, COLOUR: 'green' };
  const child = await spawnGuarded('/bin/sh', ['-c', 'test "$COLOUR" = green'], { ...SILENT, env });
  expect(await child.exited).toBe(0);
});

test('stop asks, and does not wait longer than it must', async () => {
  const script = 'trap "exit 3" TERM; echo up; while :; do sleep 0.01; done';
  const child = await spawnGuarded('/bin/sh', ['-c', script], { stdout: 'pipe', stderr: 'ignore' });
  if (!child.stdout) throw new Error('no stdout');
  await once(child.stdout, 'data');
  await child.stop();
  expect(await child.exited).toBe(3);
  expect(isAlive(child.pid)).toBe(false);
});

test('stop forces what does not listen', async () => {
  const script = 'trap "" TERM; echo up; while :; do sleep 0.01; done';
  const child = await spawnGuarded('/bin/sh', ['-c', script], { stdout: 'pipe', stderr: 'ignore' });
  if (!child.stdout) throw new Error('no stdout');
  await once(child.stdout, 'data');
  await child.stop(50);
  expect(await child.exited).toBe(null);
  expect(isAlive(child.pid)).toBe(false);
});

test('stop is asked once however often it is called', async () => {
  // Ends with the number of SIGTERMs that it got within a moment.
  const script =
    'n=0; trap "n=\\$((n+1))" TERM; echo up; while [ $n = 0 ]; do sleep 0.01; done; sleep 0.2; exit $n';
  const child = await spawnGuarded('/bin/sh', ['-c', script], { stdout: 'pipe', stderr: 'ignore' });
  if (!child.stdout) throw new Error('no stdout');
  await once(child.stdout, 'data');
  await Promise.all([child.stop(), child.stop()]);
  expect(await child.exited).toBe(1);
});
