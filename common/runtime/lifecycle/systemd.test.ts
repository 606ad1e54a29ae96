import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Health } from '../health.ts';
import { Lifecycle } from './lifecycle.ts';
import { notifySystemd } from './systemd.ts';

let dir: string;
let lifecycle: Lifecycle;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-systemd-notify-'));
  lifecycle = new Lifecycle();
});
afterEach(async () => {
  await lifecycle.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Puts a `systemd-notify` on the PATH that records its socket and arguments. */
function recorder() {
  const file = join(dir, 'sent');
  const script = `#!/bin/sh\nprintf '%s' "$NOTIFY_SOCKET" >>${file}\nprintf '|%s' "$@" >>${file}\necho >>${file}\n`;
  writeFileSync(join(dir, 'systemd-notify'), script, { mode: 0o755 });
  return () => {
    try {
      return readFileSync(file, 'utf8').trimEnd().split('\n');
    } catch {
      return [];
    }
  };
}

function start(env: NodeJS.ProcessEnv) {
  const health = new Health();
  const logged: string[] = [];
  const log = pino({}, { write: (line: string) => void logged.push(line) });
  const PATH = `${dir}:/usr/bin:/bin`;
  const ready = notifySystemd({ env: { PATH, ...env }, log, health, lifecycle });
  return { health, ready, logged };
}

test('reports that the process serves', async () => {
  const sent = recorder();
  await start({ NOTIFY_SOCKET: '/run/x' }).ready();
  expect(sent()).toEqual(['/run/x|READY=1|STATUS=ready']);
});

test('sends the keep-alive within the time of the watchdog, also while the process waits for Redis', async () => {
  const sent = recorder();
  const { health } = start({
    NOTIFY_SOCKET: '/run/x',
    WATCHDOG_USEC: '200000',
    WATCHDOG_PID: `${process.pid}`,
  });
  health.set('redis', 'connect ECONNREFUSED 10.0.0.5:6379');
  await expect.poll(() => sent().length).toBeGreaterThan(2);
  expect(sent()[0]).toMatch(/^\/run\/x\|WATCHDOG=1\|STATUS=redis: connect ECONNREFUSED/);
  expect(sent()[0]).not.toContain('10.0.0.5');
});

test('sends no keep-alive for another process, and nothing without a socket', async () => {
  const sent = recorder();
  await start({ NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '2000', WATCHDOG_PID: '1' }).ready();
  await start({ WATCHDOG_USEC: '2000' }).ready();
  expect(sent()).toEqual(['/run/x|READY=1|STATUS=ready']);
});

test('logs that systemd-notify is missing', async () => {
  const { ready, logged } = start({ NOTIFY_SOCKET: '/run/x', PATH: dir });
  await ready();
  expect(JSON.parse(logged[0] ?? '')).toMatchObject({
    event: 'systemd_not_notified',
    err: { code: 'ENOENT' },
  });
});
