/** Where log lines go: a file, or stdout. */
import { closeSync, constants, fstatSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { ConfigError } from '../../config/load.ts';
import { LineOutput, type Sink } from './line-output.ts';

/** O_NONBLOCK matters for a named pipe: without a reader its open would wait for one. */
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
/** Problems of a path that time does not solve: the configuration is wrong. */
const WRONG_PATH = new Set(['EACCES', 'EISDIR', 'ENAMETOOLONG', 'ENOENT', 'ENOTDIR', 'EPERM', 'EROFS']);
/** A removed log file is noticed, and a file that could not be opened is tried again, at most this often (ms). */
const CHECK_EVERY_MS = 1_000;

/** A file that lines are appended to. */
class FileSink implements Sink {
  readonly #name: string;
  #fd: number | undefined;
  #problem: unknown;
  #checkedMs = Number.NEGATIVE_INFINITY;

  /** @throws ConfigError when the path is wrong; a full disk is no reason not to start */
  constructor(name: string) {
    this.#name = name;
    try {
      this.reopen();
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
      if (WRONG_PATH.has(code))
        throw new ConfigError([`logging.file: ${name}: cannot be written (${code})`], { cause });
    }
  }

  write(bytes: Uint8Array): number {
    this.#check();
    if (this.#fd === undefined) throw this.#problem;
    return writeSync(this.#fd, bytes);
  }

  /** @throws the error of the open; then the file that was open stays open */
  reopen(): void {
    try {
      mkdirSync(path.dirname(this.#name), { recursive: true });
      const fd = openSync(this.#name, APPEND, 0o666);
      if (this.#fd !== undefined) closeSync(this.#fd);
      this.#fd = fd;
    } catch (error) {
      this.#problem = error;
      throw error;
    }
  }

  #check(): void {
    const nowMs = performance.now();
    if (nowMs - this.#checkedMs < CHECK_EVERY_MS) return;
    this.#checkedMs = nowMs;
    if (this.#fd !== undefined && fstatSync(this.#fd).nlink > 0) return;
    try {
      this.reopen();
    } catch {
      // Without a file the line is dropped; with a removed one it is written there. The next check tries again.
    }
  }
}

/** @throws ConfigError when the path is wrong */
export function fileOutput(name: string): LineOutput {
  return new LineOutput(new FileSink(name));
}

const STDOUT = 1;

/** Stdout, in a mode in which a write does not wait for its reader. */
export function stdoutOutput(): LineOutput {
  const fd = nonBlockingStdout();
  // What this program wrote to process.stdout may still wait there: a line must not come in the middle of it.
  const isBusy = () => fd === STDOUT && process.stdout.writableLength > 0;
  return new LineOutput({
    write(bytes) {
      if (isBusy()) throw Object.assign(new Error('stdout is busy'), { code: 'EAGAIN' });
      return writeSync(fd, bytes);
    },
  });
}

/**
 * A mode belongs to an open file, which several processes may share: in a shell's pipeline, or on a terminal. So a pipe or
 * terminal is opened anew. A socket cannot be, but Node.js has already put it in this mode for `process.stdout`. A regular
 * file does not block.
 */
function nonBlockingStdout(): number {
  try {
    const stat = fstatSync(STDOUT);
    if (stat.isFIFO() || stat.isCharacterDevice())
      return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // No /proc, or it belongs to another user.
  }
  void process.stdout;
  return STDOUT;
}
