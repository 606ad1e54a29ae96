import type { Writable } from 'node:stream';
import { PROCESS_KINDS, type ProcessKind } from '../../../common/model/process-kinds.ts';
import { withTimeout } from '../../../common/runtime/tasks/with-timeout.ts';
import { spawnBoundToParent } from './kill-with-parent.ts';
import { passLines } from './pass-lines.ts';
import type { Running } from './supervise.ts';

/** In the order in which the launcher starts them. */
export const PROCESS_NAMES = PROCESS_KINDS;
export type ProcessName = ProcessKind;

/** The child that runs all processes in one Node process. */
export const ALL_IN_ONE = 'all';
export type ChildName = ProcessName | typeof ALL_IN_ONE;

export interface Output {
  stdout: Writable;
  stderr: Writable;
  /** Formats a line of a child's stdout. */
  format(line: string): string;
}

/** How long the last output of an ended process may take to be passed on (ms). */
const LAST_OUTPUT_MS = 1_000;

interface Options {
  /** Absolute path of the program. */
  program: string;
  args: string[];
  env: NodeJS.ProcessEnv;
  output: Output;
  /** Called with every line of its stdout. */
  onLine(line: string): void;
}

/** Starts one process and passes its output on line by line. */
export async function startChild(options: Options): Promise<Running> {
  const { program, args, env, output, onLine } = options;
  const child = await spawnBoundToParent(program, args, {
    env,
    stdout: 'pipe',
    stderr: 'pipe',
    channel: true,
  });
  const passed: Promise<void>[] = [];
  if (child.stdout) {
    const format = (line: string) => {
      onLine(line);
      return output.format(line);
    };
    passed.push(passLines(child.stdout, output.stdout, format));
  }
  if (child.stderr) passed.push(passLines(child.stderr, output.stderr, (line) => line));
  // When all of its output is passed on, so that the last lines stand before the report of its end. But a reader that
  // stalls must not keep the process from being restarted.
  const exited = child.exited.then(async (code) => {
    await withTimeout(Promise.all(passed), { timeoutMs: LAST_OUTPUT_MS, onTimeout: () => [] });
    return code;
  });
  return {
    pid: child.pid,
    exited,
    async stop() {
      await child.stop();
      await exited;
    },
  };
}
