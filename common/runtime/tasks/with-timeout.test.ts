import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { withTimeout } from './with-timeout.ts';

const never = new Promise<never>(() => {});
const fail = () => {
  throw new Error('late');
};

test('gives the result of work that ends in time, and its error', async () => {
  expect(await withTimeout(Promise.resolve(1), { timeoutMs: 1_000, onTimeout: fail })).toBe(1);
  await expect(
    withTimeout(Promise.reject(new Error('failed')), { timeoutMs: 1_000, onTimeout: fail }),
  ).rejects.toThrow('failed');
});

test('gives what onTimeout returns or throws when the time is over', async () => {
  expect(await withTimeout(never, { timeoutMs: 1, onTimeout: () => 'late' })).toBe('late');
  await expect(withTimeout(never, { timeoutMs: 1, onTimeout: fail })).rejects.toThrow('late');
});

test('ignores the error of work that fails after the time is over', async () => {
  const work = delay(20).then(() => Promise.reject(new Error('too late')));
  expect(await withTimeout(work, { timeoutMs: 1, onTimeout: () => 'late' })).toBe('late');
  await expect(work).rejects.toThrow('too late');
});

test('leaves no timer and no listener behind', async () => {
  const { signal } = new AbortController();
  const removed = vi.spyOn(signal, 'removeEventListener');
  const cleared = vi.spyOn(globalThis, 'clearTimeout');
  await withTimeout(Promise.resolve(), { timeoutMs: 60_000, onTimeout: fail });
  expect(cleared).toHaveBeenCalledWith(expect.anything());
  await withTimeout(Promise.resolve(), { timeoutMs: 60_000, countFrom: signal, onTimeout: fail });
  expect(removed).toHaveBeenCalledOnce();
});

test('counts the time from the abort of a signal', async () => {
  const abort = new AbortController();
  const timeout = { timeoutMs: 1, countFrom: abort.signal, onTimeout: () => 'late' };
  const waiting = withTimeout(never, timeout);
  expect(await Promise.race([waiting, delay(30, 'still waiting')])).toBe('still waiting');
  abort.abort();
  expect(await waiting).toBe('late');
  expect(await withTimeout(never, timeout)).toBe('late'); // aborted before the call
});
