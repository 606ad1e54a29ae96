import { fork } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import type { Answer, Order } from './worker.ts';

const WORKER = join(packageRoot, 'dist', 'deploy', 'verify', 'simulate', 'worker.js');

/** Runs histories in child processes. */
export class Pool {
  readonly #jobs: number;
  readonly #signal: AbortSignal;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** @param jobs how many run at the same time */
  constructor(jobs: number, signal: AbortSignal) {
    this.#jobs = jobs;
    this.#signal = signal;
  }

  /** @throws Error when the child ends without an answer */
  async run(order: Order): Promise<Answer> {
    if (this.#running >= this.#jobs) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    try {
      return await this.#inChild(order);
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  #inChild(order: Order): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const child = fork(WORKER, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      const stop = () => void child.kill('SIGTERM');
      this.#signal.addEventListener('abort', stop, { once: true });
      child.once('message', (answer) => resolve(answer as Answer));
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        this.#signal.removeEventListener('abort', stop);
        reject(
          new Error(`seed ${order.seed}: the simulation ended with ${signal ?? code} before its result`),
        );
      });
      child.send(order);
    });
  }
}
