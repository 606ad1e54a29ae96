import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimFolder } from './folder-lock.ts';
import { processStart } from './process-table.ts';
import { UnavailableError } from './unavailable-error.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-claim-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('a folder that somebody has is refused, naming who; given back it is free', () => {
  const giveBack = claimFolder(dir);
  expect(() => claimFolder(dir)).toThrow(UnavailableError);
  expect(() => claimFolder(dir)).toThrow(`in use by another deploy/hm, pid ${process.pid}`);
  giveBack();
  claimFolder(dir)();
  expect(readdirSync(dir)).toEqual([]);
});

test('the claim of one that is gone is taken over, as is one that is cut off', async () => {
  const child = spawn('true', { stdio: 'ignore' });
  await once(child, 'exit');
  for (const left of [JSON.stringify({ pid: child.pid, started: '1' }), '{"pid":', '']) {
    writeFileSync(join(dir, 'launcher.json'), left);
    claimFolder(dir)();
    expect(readdirSync(dir)).toEqual([]);
  }
});

test('another program that has its pid by now is not taken for it', () => {
  const claim = { pid: process.pid, started: `not ${processStart(process.pid)}` };
  writeFileSync(join(dir, 'launcher.json'), JSON.stringify(claim));
  claimFolder(dir)();
});
