import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stateDirOf } from './demo-dir.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-state-'));
  for (const name of ['clone/deploy', 'package', 'home', 'closed'])
    mkdirSync(join(dir, name), { recursive: true });
  writeFileSync(join(dir, 'clone/deploy/hm'), '');
  chmodSync(join(dir, 'closed'), 0o500);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const place = (root: string, home = 'home', env = {}) =>
  stateDirOf({ root: join(dir, root), env, home: join(dir, home), temporary: '/tmp' }).replace(dir, '');

test('a clone is written itself, an installed package never', () => {
  expect(place('clone')).toBe('/clone/.hm');
  expect(place('package')).toBe('/home/.local/state/health-manager');
  expect(place('package', 'home', { XDG_STATE_HOME: join(dir, 'state') })).toBe('/state/health-manager');
});

test('without a home that can be written, a temporary folder of the user', () => {
  // As of users that have no home.
  writeFileSync(join(dir, 'file'), '');
  const temporary = `/tmp/health-manager-${process.getuid?.()}`;
  expect(place('package', 'file/home')).toBe(temporary);
  // Root may write everywhere.
  if (process.getuid?.() !== 0) expect(place('package', 'closed')).toBe(temporary);
});
