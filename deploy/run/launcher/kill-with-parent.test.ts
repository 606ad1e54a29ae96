import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { spawnBoundToParent } from './kill-with-parent.ts';
import { isAlive } from './process-table.ts';

const SILENT = { stdout: 'ignore', stderr: 'ignore' } as const;

test('pid, output and exit code are those of the program, not of the shell', async () => {
  const child = await spawnBoundToParent('/bin/sh', ['-c', 'echo $$; exit 7'], {
    stdout: 'pipe',
    stderr: 'ignore',
  });
  if (!child.stdout) throw new Error('no stdout');
  expect((await text(child.stdout)).trim()).toBe(String(child.pid));
  expect(await child.exited).toBe(7);
});

test('arguments reach the program unchanged', async () => {
  const args = ['a b', '$HOME', '"', "'", ''];
  const child = await spawnBoundToParent('/bin/sh', ['-c', 'printf "%s|" "$@"', 'name', ...args], {
    stdout: 'pipe',
    stderr: 'ignore',
  });
  if (!child.stdout) throw new Error('no stdout');
  expect(await text(child.stdout)).toBe(args.map((argument) => `${argument}|`).join(''));
  await child.exited;
});

test('the environment is passed to the program', async () => {
  const env = { PATH: process.env.PATH, COLOUR: 'green' };
  const child = await spawnBoundToParent('/bin/sh', ['-c', 'test "$COLOUR" = green'], { ...SILENT, env });
  expect(await child.exited).toBe(0);
});

test('stop sends SIGTERM and returns when the program has ended', async () => {
  const script = 'trap "exit 3" TERM; echo up; while :; do sleep 0.01; done';
  const child = await spawnBoundToParent('/bin/sh', ['-c', script], { stdout: 'pipe', stderr: 'ignore' });
  if (!child.stdout) throw new Error('no stdout');
  await once(child.stdout, 'data');
  await child.stop();
  expect(await child.exited).toBe(3);
  expect(isAlive(child.pid)).toBe(false);
});

test('stop kills a program that ignores SIGTERM', async () => {
  const script = 'trap "" TERM; echo up; while :; do sleep 0.01; done';
  const child = await spawnBoundToParent('/bin/sh', ['-c', script], { stdout: 'pipe', stderr: 'ignore' });
  if (!child.stdout) throw new Error('no stdout');
  await once(child.stdout, 'data');
  await child.stop(50);
  expect(await child.exited).toBe(null);
  expect(isAlive(child.pid)).toBe(false);
});

test('stop called twice sends one SIGTERM', async () => {
  // The exit code is the number of SIGTERMs received within 0.2 s after the first.
  const script =
    'n=0; trap "n=\\$((n+1))" TERM; echo up; while [ $n = 0 ]; do sleep 0.01; done; sleep 0.2; exit $n';
  const child = await spawnBoundToParent('/bin/sh', ['-c', script], { stdout: 'pipe', stderr: 'ignore' });
  if (!child.stdout) throw new Error('no stdout');
  await once(child.stdout, 'data');
  await Promise.all([child.stop(), child.stop()]);
  expect(await child.exited).toBe(1);
});
