import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Lifecycle } from './lifecycle.ts';

describe('stop', () => {
  it('releases last in first out, one after the other', async () => {
    const lifecycle = new Lifecycle();
    const order: string[] = [];
    expect(lifecycle.own('a', 7, (n) => void order.push(`a ${n}`))).toBe(7);
    lifecycle.onStop('b', async () => {
      order.push('b begins');
      await Promise.resolve();
      order.push('b ends');
    });
    lifecycle.onStop('c', () => void order.push('c'));
    await lifecycle.stop();
    expect(order).toEqual(['c', 'b begins', 'b ends', 'a 7']);
  });

  it('aborts the signal before the first release', async () => {
    const lifecycle = new Lifecycle();
    const order: string[] = [];
    lifecycle.signal.addEventListener('abort', () => order.push('signal'));
    lifecycle.onStop('release', () => void order.push('release'));
    expect([lifecycle.signal.aborted, lifecycle.stopping]).toEqual([false, false]);
    const stopped = lifecycle.stop();
    expect([lifecycle.signal.aborted, lifecycle.stopping]).toEqual([true, true]);
    await stopped;
    expect(order).toEqual(['signal', 'release']);
  });

  it('can be called again and releases once', async () => {
    const lifecycle = new Lifecycle();
    const release = vi.fn();
    lifecycle.onStop('x', release);
    await Promise.all([lifecycle.stop(), lifecycle.stop()]);
    await lifecycle.stop();
    expect(release).toHaveBeenCalledTimes(1);
  });

  it('runs all releases even when some fail, and keeps the first error', async () => {
    const lifecycle = new Lifecycle();
    const last = vi.fn();
    const first = new Error('first');
    lifecycle.onStop('last', last);
    lifecycle.onStop('second', () => {
      throw new Error('second');
    });
    lifecycle.onStop('failing', () => Promise.reject(first));
    await expect(lifecycle.stop()).rejects.toMatchObject({
      message: 'failing did not stop cleanly',
      cause: first,
    });
    expect(last).toHaveBeenCalledTimes(1);
  });

  it('can be called by a listener of the signal', async () => {
    const lifecycle = new Lifecycle();
    const release = vi.fn();
    lifecycle.onStop('x', release);
    let inner: Promise<void> | undefined;
    lifecycle.signal.addEventListener('abort', () => {
      inner = lifecycle.stop();
    });
    await lifecycle.stop();
    await inner;
    expect(release).toHaveBeenCalledTimes(1);
  });

  it('releases a resource that is registered while it stops', async () => {
    const lifecycle = new Lifecycle();
    const late = vi.fn();
    lifecycle.onStop('x', () => {
      lifecycle.own('late', 1, late);
    });
    await lifecycle.stop();
    expect(late).toHaveBeenCalledTimes(1);
  });

  it('releases a resource that is registered after the stop', async () => {
    const lifecycle = new Lifecycle();
    await lifecycle.stop();
    const late = vi.fn();
    lifecycle.own('late', 1, late);
    await lifecycle.stop();
    expect(late).toHaveBeenCalledTimes(1);
  });

  it('reports the error of a release that was registered after the stop', async () => {
    const lifecycle = new Lifecycle();
    await lifecycle.stop();
    lifecycle.onStop('late', () => {
      throw new Error('x');
    });
    await expect(lifecycle.stop()).rejects.toThrow('late did not stop cleanly');
  });
});

describe('a release that does not end', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('delays the others only until its time limit', async () => {
    const lifecycle = new Lifecycle({ stepMs: 500 });
    const other = vi.fn();
    lifecycle.onStop('other', other);
    lifecycle.onStop('endless', () => new Promise<void>(() => {}));
    const stopped = expect(lifecycle.stop()).rejects.toThrow('endless did not stop cleanly');
    await vi.advanceTimersByTimeAsync(499);
    expect(other).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await stopped;
    expect(other).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('delays the others until a time limit of its own', async () => {
    const lifecycle = new Lifecycle({ stepMs: 500 });
    const other = vi.fn();
    lifecycle.onStop('other', other);
    lifecycle.own('endless', 0, () => new Promise<void>(() => {}), 800);
    const stopped = expect(lifecycle.stop()).rejects.toMatchObject({
      cause: new Error('took more than 800 ms'),
    });
    await vi.advanceTimersByTimeAsync(799);
    expect(other).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await stopped;
    expect(other).toHaveBeenCalledTimes(1);
  });
});
