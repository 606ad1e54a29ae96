import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Lifecycle } from '../../../../common/runtime/lifecycle/lifecycle.ts';
import type { Handlers, Reply, Request } from './protocol.ts';

/** A process of the benchmark that generates load. Its CPU time is not counted as the health manager's. */
export interface LoadProcess<T> {
  pid: number;
  end(): Promise<void>;
  call<K extends keyof T & string>(
    task: K,
    args: Parameters<Handlers<T>[K]>[0],
  ): Promise<T[K] extends { result: infer R } ? R : never>;
}

/** Starts `deploy/verify/bench/cloud/<file>.js` with `argument`; it ends with the lifecycle. */
export async function startLoadProcess<T>(
  lifecycle: Lifecycle,
  file: string,
  argument: object,
): Promise<LoadProcess<T>> {
  const child = fork(join(import.meta.dirname, `${file}.js`), [JSON.stringify(argument)], {
    // It holds the encoded heartbeats of millions of instances.
    execArgv: ['--max-old-space-size=8192'],
    serialization: 'advanced',
  });
  lifecycle.onStop(file, () => ended(child));
  const waiting = new Map<number, (reply: Reply) => void>();
  const answerTo = (id: number) => new Promise<Reply>((resolve) => waiting.set(id, resolve));
  child.on('message', (reply: Reply) => {
    waiting.get(reply.id)?.(reply);
    waiting.delete(reply.id);
  });
  child.on('exit', (code) => {
    for (const [id, answer] of waiting) answer({ id, error: `${file} ended with exit code ${code}` });
    waiting.clear();
  });
  const result = (reply: Reply) => {
    if ('error' in reply) throw new Error(`${file}: ${reply.error}`);
    return reply.result;
  };
  result(await answerTo(0));
  let last = 0;
  return {
    pid: child.pid as number,
    end: () => ended(child),
    call: async (task, args) => {
      const id = ++last;
      const answer = answerTo(id);
      child.send({ id, task, args } satisfies Request);
      return result(await answer) as never;
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill('SIGKILL'); // it has no state to save
  });
}
