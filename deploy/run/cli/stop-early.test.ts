import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { hmProgram } from '../hm-program.ts';

/** Makes the command process number 1 of a namespace, as it is in a container; needs rights that not every system gives. */
const AS_NUMBER_1 = ['unshare', '--pid', '--fork'];
const isPossible = spawnSync('unshare', ['--pid', '--fork', 'true']).status === 0;

/** The child of `unshare` once it is Node.js; undefined before. */
function nodeUnder(pid: number): number | undefined {
  const child = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0];
  const isNode =
    child !== undefined &&
    child !== '' &&
    readFileSync(`/proc/${child}/cmdline`, 'utf8').startsWith(process.execPath);
  return isNode ? Number(child) : undefined;
}

describe.runIf(isPossible)('a process that is number 1 of its container', () => {
  // The system itself may lose a signal before Node.js runs the first line of the program, so it is sent repeatedly.
  test.each([
    ['ingest', 0],
    ['start', 0],
    ['dump', 143],
  ])(
    '%s ends at a SIGTERM before the program is loaded, with code %i',
    async (command, code) => {
      const env = {
        PATH: process.env.PATH,
        REDIS_URL: 'redis://127.0.0.1:1',
        MBUS_URI: 'nats://127.0.0.1:1',
      };
      const [program = '', ...args] = [...AS_NUMBER_1, process.execPath, hmProgram, command];
      const child = spawn(program, args, { cwd: '/', env, stdio: ['ignore', 'pipe', 'pipe'] });
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (data) => {
          output += data;
        });
      const exited = once(child, 'exit', { signal: AbortSignal.timeout(10_000) });
      while (child.exitCode === null && child.signalCode === null) {
        const node = nodeUnder(child.pid as number);
        if (node !== undefined) process.kill(node, 'SIGTERM');
        await delay(5);
      }
      expect([(await exited)[0], output.replace(/^unshare: .*\n/, '')]).toEqual([code, '']);
    },
    15_000,
  );
});
