import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../common/testing/context.ts';
import { Admission } from './admission.ts';

const request = (length: number) => ({ headers: { 'content-length': String(length) } });
const KIB = 1024;

/** Has room for one request of 68 KiB with its overhead. */
function admission() {
  const clock = new ManualClock();
  return { clock, admission: new Admission({ clock, dropletLostMs: 30_000, maxBytes: 100 * KIB }) };
}

describe('requests in hand', () => {
  test('are bounded by their memory, connections included', () => {
    const { admission: bound } = admission();
    const first = request(20 * KIB);
    expect([bound.enter(first), bound.enter(request(20 * KIB))]).toEqual([true, false]);
    bound.leave(first);
    bound.leave(first);
    expect([bound.enter(request(68 * KIB)), bound.enter(request(0))]).toEqual([true, false]);
  });

  test('of unknown length count as long', () => {
    expect(admission().admission.enter({ headers: {} })).toBe(false);
  });

  test('are waited for at the end, and new ones are refused', async () => {
    const { admission: bound } = admission();
    const last = request(1);
    bound.enter(last);
    bound.end();
    let isIdle = false;
    const idle = bound.idle().then(() => {
      isIdle = true;
    });
    await Promise.resolve();
    expect([bound.enter(request(1)), isIdle]).toEqual([false, false]);
    bound.leave(last);
    await idle;
  });
});

test('a refusal holds back the watermark until none was for a heartbeat period', () => {
  const { clock, admission: bound } = admission();
  const ages = () => bound.backlogAgeMs();
  expect(ages()).toBe(0);
  bound.enter(request(200 * KIB));
  clock.advance(9_000);
  bound.enter(request(200 * KIB));
  clock.advance(9_000);
  expect(ages()).toBe(18_000);
  clock.advance(1_001);
  expect(ages()).toBe(0);
  bound.enter(request(200 * KIB));
  expect(ages()).toBe(0);
  clock.advance(1);
  expect(ages()).toBe(1);
});
