import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BulkApiError, PassFailedError } from '../errors.ts';
import { MAX_BODY_BYTES, PAGE_TIMEOUT_MS } from './bulk-api.ts';
import { withRetry } from './retry.ts';

let waits: number[] = [];
beforeEach(() => {
  waits = [];
  vi.spyOn(Math, 'random').mockReturnValue(1);
});
afterEach(() => {
  vi.restoreAllMocks();
});

const options = (maxDelayMs: number) => ({
  signal: new AbortController().signal,
  maxDelayMs,
  onFailure: () => undefined,
  wait: async (ms: number) => {
    waits.push(ms);
  },
});

test('a request is tried ten times, with waits that double up to postpone_update', async () => {
  let tries = 0;
  const request = () => {
    tries++;
    return Promise.reject(new BulkApiError('status', 'status 500'));
  };
  await expect(withRetry(request, options(30_000))).rejects.toThrow(PassFailedError);
  expect(tries).toBe(10);
  expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
});

test('the first 401 is followed by a try without a wait', async () => {
  let tries = 0;
  const request = async () => {
    if (++tries < 3) throw new BulkApiError('unauthorized', 'status 401');
    return 'page';
  };
  expect(await withRetry(request, options(30_000))).toBe('page');
  expect(waits).toEqual([500]);
});

test('the limits of a page are those of the contract', () => {
  expect([PAGE_TIMEOUT_MS, MAX_BODY_BYTES]).toEqual([10_000, 67_108_864]);
});
