/** Process 1 of the image, with another program in place of `hm`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';

const PROGRAM = `
const [code] = process.argv.slice(2);
if (code !== 'run') process.exit(Number(code));
process.on('SIGUSR2', () => console.log('SIGUSR2'));
process.on('SIGTERM', () => setTimeout(() => process.exit(5), 200));
setInterval(() => undefined, 1000);
console.log('up');
`;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-entrypoint-'));
  const file = join(dir, 'dist', 'deploy', 'run', 'cli', 'main.js');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, PROGRAM);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function start(...args: string[]) {
  const script = join(packageRoot, 'deploy', 'install', 'image', 'entrypoint.sh');
  return spawn('bash', [script, ...args], { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'] });
}

test.each([0, 69, 78])('its exit code is that of the program: %i', async (code) => {
  expect(await once(start(String(code)), 'exit')).toEqual([code, null]);
});

test('it passes signals on and waits for the orderly end, also when SIGTERM comes twice', async () => {
  const child = start('run');
  const ended = once(child, 'exit');
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line === 'up') child.kill('SIGUSR2');
    if (line !== 'SIGUSR2') continue;
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGTERM'), 50);
  }
  expect(lines).toEqual(['up', 'SIGUSR2']);
  expect(await ended).toEqual([5, null]);
});
