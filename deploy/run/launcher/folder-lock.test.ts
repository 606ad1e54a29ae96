import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockFolder } from './folder-lock.ts';
import { processStart } from './process-table.ts';
import { UnavailableError } from './unavailable-error.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-lock-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('a locked folder is refused with the pid of its owner, and free after the release', () => {
  const release = lockFolder(dir);
  expect(() => lockFolder(dir)).toThrow(UnavailableError);
  expect(() => lockFolder(dir)).toThrow(`in use by another deploy/hm, pid ${process.pid}`);
  release();
  lockFolder(dir)();
  expect(readdirSync(dir)).toEqual([]);
});

test('the lock of a dead process and a truncated lock file are taken over', async () => {
  const child = spawn('true', { stdio: 'ignore' });
  await once(child, 'exit');
  for (const left of [JSON.stringify({ pid: child.pid, started: '1' }), '{"pid":', '']) {
    writeFileSync(join(dir, 'launcher.json'), left);
    lockFolder(dir)();
    expect(readdirSync(dir)).toEqual([]);
  }
});

test('a lock is stale when another process has its pid', () => {
  const lock = { pid: process.pid, started: `not ${processStart(process.pid)}` };
  writeFileSync(join(dir, 'launcher.json'), JSON.stringify(lock));
  lockFolder(dir)();
});

test('a folder that cannot be made: exit code 69, with the path and what to do', () => {
  writeFileSync(join(dir, 'file'), '');
  const parent = join(dir, 'file', '.hm');
  expect(() => lockFolder(parent)).toThrow(UnavailableError);
  expect(() => lockFolder(parent)).toThrow(
    `${parent}: expected a folder that this user can write, found ENOTDIR`,
  );
});

test('the folder and the lock are readable for this user only, also in a folder of an earlier release', () => {
  chmodSync(dir, 0o755);
  const release = lockFolder(dir);
  expect(statSync(dir).mode & 0o777).toBe(0o700);
  expect(statSync(join(dir, 'launcher.json')).mode & 0o777).toBe(0o600);
  release();
});
