import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Progress, type Terminal } from './progress.ts';

let written: string;
const terminal = (more: Partial<Terminal> = {}): Terminal => ({
  isTTY: true,
  columns: 40,
  write: (text) => {
    written += text;
  },
  ...more,
});

beforeEach(() => {
  written = '';
  vi.stubEnv('TERM', 'xterm');
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

test('the bar is redrawn in place, at most ten times a second, and cleared', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const progress = new Progress(terminal());
  progress.show('1 droplets', 0.25);
  progress.show('2 droplets', 0.5);
  expect(written).toBe('\r\x1b[K[######------------------]  25% 1 droplets'.slice(0, 4 + 39));
  vi.advanceTimersByTime(100);
  written = '';
  progress.show('3', 1);
  expect(written).toBe('\r\x1b[K[########################] 100% 3');
  written = '';
  progress.clear();
  progress.clear();
  expect(written).toBe('\r\x1b[K');
});

test('nothing is written unless the terminal can draw', () => {
  new Progress(terminal({ isTTY: false })).show('x', 0);
  vi.stubEnv('TERM', 'dumb');
  new Progress(terminal()).show('x', 0);
  expect(written).toBe('');
});
