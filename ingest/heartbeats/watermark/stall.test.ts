import { describe, expect, test, vi } from 'vitest';
import { GAP_MS, LOST_MS, useWatermark } from '../../../deploy/verify/fixtures/watermark.ts';

const fixture = useWatermark();

describe('a heartbeat', () => {
  test('is fresh in a running process', async () => {
    expect(fixture.create('a').isFresh()).toBe(true);
  });

  test('is stale after a stall until a round trip to NATS on both connections', async () => {
    const a = fixture.create('a');
    const answers: (() => void)[] = [];
    fixture.bus.flush = () => new Promise((resolve) => answers.push(resolve));
    const nowMs = performance.now();
    const clock = vi.spyOn(performance, 'now').mockReturnValue(nowMs + GAP_MS - 1);
    expect(a.isFresh()).toBe(true);
    clock.mockReturnValue(nowMs + GAP_MS + 1000);
    expect(a.isFresh()).toBe(false);
    expect(a.isFresh()).toBe(false);
    expect(Math.round(a.stallMs)).toBe(GAP_MS + 1000);
    clock.mockReturnValue(nowMs + 10 * LOST_MS);
    expect(a.stallMs).toBe(LOST_MS);
    expect(fixture.context.lines.filter(({ event }) => event === 'ingestor_stalled')).toHaveLength(1);
    expect(answers).toHaveLength(2);
    answers[0]?.();
    await new Promise(setImmediate);
    expect(a.isFresh()).toBe(false);
    answers[1]?.();
    await expect.poll(() => a.isFresh()).toBe(true);
    expect(a.stallMs).toBe(0);
  });

  test('is fresh again when the connections fail, because what waited in them is lost', async () => {
    const a = fixture.create('a');
    fixture.bus.flush = () => Promise.reject(new Error('connection lost'));
    const nowMs = performance.now();
    vi.spyOn(performance, 'now').mockReturnValue(nowMs + GAP_MS + 1000);
    expect(a.isFresh()).toBe(false);
    await vi.waitFor(() => expect(a.isFresh()).toBe(true));
  });

  test('is stale until the process has joined the generation that the others formed meanwhile', async () => {
    const { client, keys } = fixture.context.redis;
    const a = fixture.create('a');
    await a.start();
    await client.hset(keys.listening, 'generation', 7);
    const nowMs = performance.now();
    vi.spyOn(performance, 'now').mockReturnValue(nowMs + GAP_MS + 1000);
    expect(a.isFresh()).toBe(false);
    await vi.waitFor(() => expect(a.isFresh()).toBe(true));
    expect(fixture.generationOf('a')).toBe(7);
  });
});
