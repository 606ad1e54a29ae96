import type { Writable } from 'node:stream';
import { spawnBoundToParent } from './kill-with-parent.ts';
import { passLines } from './pass-lines.ts';
import type { Running } from './supervise.ts';

export const PROCESS_NAMES = ['ingest', 'sync', 'analyzer', 'nudger', 'reporter'] as const;
export type ProcessName = (typeof PROCESS_NAMES)[number];

export interface Output {
  stdout: Writable;
  stderr: Writable;
  /** Formats a line of a child's stdout. */
  format(line: string): string;
}

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
  // Only when all of its output is passed on, so that the last lines stand before the report of its end.
  const exited = Promise.all([child.exited, ...passed]).then(([code]) => code);
  return {
    pid: child.pid,
    exited,
    async stop() {
      await child.stop();
      await exited;
    },
  };
}
