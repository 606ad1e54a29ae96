/** Runs `hm` as a child process, with or without a terminal. For tests. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { expect, vi } from 'vitest';
import { packageRoot } from '../../../../common/runtime/package-root.ts';
import { hmProgram } from '../../hm-program.ts';

/** Builds dist/, from which the child runs. */
export function build(): void {
  execFileSync(join(packageRoot, 'deploy', 'setup.sh'), { stdio: 'pipe' });
}

export interface Child {
  process: ChildProcess;
  /** The output so far. */
  output: { stdout: string; stderr: string };
  /** Waits until stdout contains the text. */
  waitForOutput(expected: string | RegExp): Promise<void>;
  /** Resolves with the exit code when the child has ended and its output is complete. */
  ended: Promise<number | null>;
}

interface Options {
  env?: NodeJS.ProcessEnv;
  /** Of the terminal; default: 120 x 40. */
  size?: { columns: number; rows: number };
}

export function hmChild(argv: string[], options: Options = {}): Child {
  return childOf(process.execPath, [hmProgram, ...argv], options);
}

/** Whether a program is on the PATH. */
export function hasProgram(name: string): boolean {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.some((folder) => existsSync(join(folder, name)));
}

/** Whether util-linux's `script` is installed, which runs a program on a terminal. */
export function hasTerminals(): boolean {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux');
  } catch {
    return false;
  }
}

/**
 * Runs `hm` on a terminal. Its stdin takes keys, and its stderr is the terminal, too.
 *
 * @param redirection shell text after the command: ` > file`
 */
export function hmOnTerminal(argv: string[], options: Options = {}, redirection = ''): Child {
  const command = [process.execPath, hmProgram, ...argv].map((word) => `'${word}'`).join(' ');
  return onTerminal(`exec ${command}${redirection}`, options);
}

/** Runs a command of the shell on a terminal. */
export function onTerminal(command: string, options: Options = {}): Child {
  const { columns, rows } = options.size ?? { columns: 120, rows: 40 };
  const script = `stty cols ${columns} rows ${rows}; ${command}`;
  return childOf('script', ['--quiet', '--return', '--command', script, '/dev/null'], options);
}

function childOf(program: string, args: string[], { env }: Options): Child {
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, TERM: 'xterm', SHELL: '/bin/bash', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (data: Buffer) => {
    output.stdout += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    output.stderr += data.toString();
  });
  const killed = () => child.kill('SIGKILL');
  process.once('exit', killed);
  const ended = once(child, 'close').then(([code]) => {
    process.off('exit', killed);
    return code as number | null;
  });
  const waitForOutput = (expected: string | RegExp) =>
    vi.waitFor(
      () => {
        const text = stripVTControlCharacters(output.stdout);
        if (typeof expected === 'string') expect(text).toContain(expected);
        else expect(text).toMatch(expected);
      },
      { timeout: 60_000, interval: 50 },
    );
  return { process: child, output, waitForOutput, ended };
}
