import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isAlive } from '../fleet.ts';
import { eventually } from '../testing/bus.ts';
import { GUARD, InstanceProcess } from './instance.ts';

let dir: string;
let log: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-instance-'));
  log = join(dir, 'log');
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Runs a script that first prints the pid of a child it leaves behind. */
async function withChild(script: string) {
  const instance = new InstanceProcess(`sleep 1000 & echo $!; ${script}`, process.env, log);
  const child = await eventually(
    'the pid of the child',
    () => Number.parseInt(readFileSync(log, 'utf8'), 10) || undefined,
  );
  return { instance, child, pids: [instance.pid, child] };
}
const gone = (pids: (number | undefined)[]) => eventually('all gone', () => !pids.some(isAlive));

test('ends with the exit code of its command, with the environment it was given', async () => {
  const instance = new InstanceProcess('echo $WHO; exit 7', { ...process.env, WHO: 'me' }, log);
  expect(await instance.ended).toEqual({ code: 7, signal: null });
  expect(readFileSync(log, 'utf8')).toBe('me\n');
});

test('kill -9 of its pid ends it all, what it started too', async () => {
  const { instance, pids } = await withChild('while :; do sleep 1; done');
  expect(pids.every(isAlive)).toBe(true);
  process.kill(instance.pid ?? 0, 'SIGKILL');
  expect(await instance.ended).toEqual({ code: null, signal: 'SIGKILL' });
  await gone(pids);
});

test('told to stop it ends at once when it does as it is told', async () => {
  const { instance, pids } = await withChild('while :; do sleep 1; done');
  instance.stop(60_000);
  expect(await instance.ended).toEqual({ code: null, signal: 'SIGTERM' });
  await gone(pids);
});

test('one that does not care is killed after the grace', async () => {
  const { instance, pids } = await withChild("trap '' TERM; echo deaf; while :; do sleep 1; done");
  await eventually('deaf', () => readFileSync(log, 'utf8').includes('deaf'));
  instance.stop(50);
  expect(await instance.ended).toEqual({ code: null, signal: 'SIGKILL' });
  await gone(pids);
});

describe('when its agent is killed', () => {
  /** An agent in a process of its own that prints the pid of its one instance. */
  const AGENT = `
    const { spawn } = require('node:child_process');
    const [guard, command] = process.argv.slice(1);
    const child = spawn('/bin/sh', ['-c', guard, 'instance', command], { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
    console.log(child.pid);
    setInterval(() => {}, 1000);
  `;

  test.each([
    ['a loop', 'while :; do sleep 1; done'],
    ['one that ignores signals', "trap '' TERM INT HUP; while :; do sleep 1; done"],
    ['a program in place of the shell', 'exec sleep 1000'],
  ])('the instance dies with it: %s', async (_, command) => {
    const agent = spawn(process.execPath, ['-e', AGENT, GUARD, command], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(createInterface(agent.stdout), 'line');
    const pid = Number(line);
    expect(isAlive(pid)).toBe(true);
    agent.kill('SIGKILL');
    await once(agent, 'close');
    await gone([pid]);
  });
});
