import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isAlive } from '../../run/launcher/process-table.ts';
import { eventually } from '../testing/bus.ts';
import { GUARD, InstanceProcess } from './instance.ts';

let dir: string;
let log: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-instance-'));
  log = join(dir, 'log');
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Runs a script with a background child, whose pid it prints first. */
async function withChild(script: string) {
  const instance = new InstanceProcess(`sleep 1000 & echo $!; ${script}`, process.env, log);
  const child = await eventually(
    'the pid of the child',
    () => Number.parseInt(readFileSync(log, 'utf8'), 10) || undefined,
  );
  return { instance, child, pids: [instance.pid, child] };
}
const allEnded = (pids: (number | undefined)[]) =>
  eventually('the end of all processes', () => !pids.some(isAlive));

test('runs the command with its environment and reports its exit code', async () => {
  const instance = new InstanceProcess('echo $WHO; exit 7', { ...process.env, WHO: 'me' }, log);
  expect(await instance.ended).toEqual({ code: 7, signal: null });
  expect(readFileSync(log, 'utf8')).toBe('me\n');
});

test('kill -9 of its pid ends its children, too', async () => {
  const { instance, pids } = await withChild('while :; do sleep 1; done');
  expect(pids.every(isAlive)).toBe(true);
  process.kill(instance.pid ?? 0, 'SIGKILL');
  expect(await instance.ended).toEqual({ code: null, signal: 'SIGKILL' });
  await allEnded(pids);
});

test('stop ends a command that handles SIGTERM at once', async () => {
  const { instance, pids } = await withChild('while :; do sleep 1; done');
  instance.stop(60_000);
  expect(await instance.ended).toEqual({ code: null, signal: 'SIGTERM' });
  await allEnded(pids);
});

test('stop kills a command that ignores SIGTERM after the grace time', async () => {
  const { instance, pids } = await withChild("trap '' TERM; echo deaf; while :; do sleep 1; done");
  await eventually('deaf', () => readFileSync(log, 'utf8').includes('deaf'));
  instance.stop(50);
  expect(await instance.ended).toEqual({ code: null, signal: 'SIGKILL' });
  await allEnded(pids);
});

describe('when the DEA is killed', () => {
  /** A DEA with one instance, as a child process that prints the instance's pid. */
  const DEA = `
    const { spawn } = require('node:child_process');
    const [guard, command] = process.argv.slice(1);
    const child = spawn('/bin/sh', ['-c', guard, 'instance', command], { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
    console.log(child.pid);
    setInterval(() => {}, 1000);
  `;

  test.each([
    ['a loop', 'while :; do sleep 1; done'],
    ['a command that ignores signals', "trap '' TERM INT HUP; while :; do sleep 1; done"],
    ['a program that replaces the shell', 'exec sleep 1000'],
  ])('its instance dies: %s', async (_, command) => {
    const dea = spawn(process.execPath, ['-e', DEA, GUARD, command], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(createInterface(dea.stdout), 'line');
    const pid = Number(line);
    expect(isAlive(pid)).toBe(true);
    dea.kill('SIGKILL');
    await once(dea, 'close');
    await allEnded([pid]);
  });
});
