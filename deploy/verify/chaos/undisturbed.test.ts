import { afterEach, beforeEach, expect, test } from 'vitest';
import { Undisturbed } from './undisturbed.ts';

let undisturbed: Undisturbed;
beforeEach(() => {
  undisturbed = new Undisturbed();
});
afterEach(() => undisturbed.stop());

test('listening time leaves out the times in which nothing could be received, each once', () => {
  undisturbed.unheardSince('nats', 1_000);
  undisturbed.unheardSince('denied', 2_000);
  undisturbed.heardAgain('nats', 3_000);
  undisturbed.heardAgain('denied', 4_000);
  undisturbed.unheardSince('nats', 6_000);
  undisturbed.heardAgain('nats', 7_000);
  expect(undisturbed.listenedMs(0, 10_000)).toBe(6_000);
  expect(undisturbed.listenedMs(2_000, 6_500)).toBe(2_000);
  expect(undisturbed.listenedAfterMs(0, 1_500)).toBe(4_500);
  expect(undisturbed.listenedAfterMs(2_000, 2_500)).toBe(7_500);
});

test('while nothing can be received no listening time passes', () => {
  undisturbed.unheardSince('nats', 1_000);
  undisturbed.heardAgain('another reason', 2_000);
  expect(undisturbed.listenedMs(500, 9_000)).toBe(500);
  expect(undisturbed.listenedAfterMs(500, 600)).toBe(Number.POSITIVE_INFINITY);
});
