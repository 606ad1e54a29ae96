/** The command line as a person runs it: a process of its own, with or without a terminal. For tests. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { expect, vi } from 'vitest';
import { packageRoot } from '../../../../common/runtime/package-root.ts';
import { hmProgram } from '../../hm-program.ts';

const MAIN = hmProgram;

/** Builds dist/, which the child runs. */
export function build(): void {
  execFileSync(join(packageRoot, 'deploy', 'setup.sh'), { stdio: 'pipe' });
}

export interface Child {
  process: ChildProcess;
  /** What it has written so far. */
  said: { stdout: string; stderr: string };
  /** Waits until stdout holds this. */
  says(words: string | RegExp): Promise<void>;
  /** Its exit code, when it has ended and all that it said is there. */
  ended: Promise<number | null>;
}

interface Where {
  env?: NodeJS.ProcessEnv;
}

export function hmChild(argv: string[], where: Where = {}): Child {
  return childOf(process.execPath, [MAIN, ...argv], where);
}

/** `script` of util-linux gives a program a terminal of its own. */
export function hasTerminals(): boolean {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux');
  } catch {
    return false;
  }
}

/**
 * On a terminal of 120 x 40; what is written to its stdin are keys, and its stderr is the terminal, too.
 *
 * @param more for the shell, after the command: ` > file`
 */
export function hmOnTerminal(argv: string[], where: Where = {}, more = ''): Child {
  const words = [process.execPath, MAIN, ...argv].map((word) => `'${word}'`).join(' ');
  const command = `stty cols 120 rows 40; exec ${words}${more}`;
  return childOf('script', ['--quiet', '--return', '--command', command, '/dev/null'], where);
}

function childOf(program: string, args: string[], { env }: Where): Child {
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, TERM: 'xterm', SHELL: '/bin/bash', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (data: Buffer) => {
    said.stdout += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    said.stderr += data.toString();
  });
  const killed = () => child.kill('SIGKILL');
  process.once('exit', killed);
  const ended = once(child, 'close').then(([code]) => {
    process.off('exit', killed);
    return code as number | null;
  });
  const says = (words: string | RegExp) =>
    vi.waitFor(
      () => {
        const text = stripVTControlCharacters(said.stdout);
        if (typeof words === 'string') expect(text).toContain(words);
        else expect(text).toMatch(words);
      },
      { timeout: 20_000, interval: 50 },
    );
  return { process: child, said, says, ended };
}
