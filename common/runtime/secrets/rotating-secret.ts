/** A secret that somebody may replace while this process runs. */
import type { Logger } from '../log/log.ts';

/** Called when a file with a secret cannot be used; once until it can. */
export type OnSecretProblem = (problem: string) => void;

/** A secret in files, which are read again at each use, that is, at each connect. */
export class RotatingSecret<T> {
  readonly #read: () => T;
  readonly #onProblem: OnSecretProblem;
  #latest: T;
  #isReported = false;

  /**
   * @param read reads and parses the files; its error names them
   * @throws the error of `read`
   */
  constructor(read: () => T, onProblem: OnSecretProblem) {
    this.#read = read;
    this.#onProblem = onProblem;
    this.#latest = read();
  }

  /** The secret as it is in its files now. While they are incomplete or missing, the latest one that could be read. */
  current(): T {
    try {
      this.#latest = this.#read();
      this.#isReported = false;
    } catch (error) {
      if (!this.#isReported) this.#onProblem((error as Error).message);
      this.#isReported = true;
    }
    return this.#latest;
  }
}

/** Logs what is wrong with a file of a secret. */
export function logSecretProblem(log: Logger): OnSecretProblem {
  return (problem) =>
    log.warn({ event: 'secret_not_readable', problem }, 'secret not readable; the one before is used');
}
