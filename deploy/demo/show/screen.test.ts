import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { HoldStory } from './manager.ts';
import { type DemoView, render } from './screen.ts';

const view: DemoView = {
  apps: [{ name: 'web', command: 'x', instances: 2, state: 'STARTED', version: 'v1', memoryMb: 64 }],
  deas: [
    {
      ...{ name: 'dea-1', id: 'guid', state: 'up', pid: 100 },
      instances: [
        { guid: 'b', droplet: 'web', version: 'v1', index: 1, state: 'RUNNING', pid: 102 },
        { guid: 'a', droplet: 'web', version: 'v1', index: 0, state: 'RUNNING', pid: 101 },
        { guid: 'c', droplet: 'web', version: 'v1', index: 1, state: 'CRASHED' },
      ],
    },
    { name: 'dea-2', state: 'gone', backAtMs: 8_500, instances: [] },
  ],
  story: Array.from({ length: 100 }, (_, at) => ({
    ...{
      at: new Date(),
      source: 'health manager',
      kind: 'decision',
      text: `start web/${at} (missing)\x1b[2J`,
    },
  })),
  appsFile: '/somewhere/apps.yml',
  manager: {
    ...{ level: 'good', text: 'All 2 wanted instances run.', holds: [] },
    processes: [{ kind: 'nudger', pid: 300 }],
  },
  places: ['Redis redis://127.0.0.1:1'],
  nowMs: 1_000,
};
const shown = (size: { columns: number; rows: number }) => render(view, size).map(stripVTControlCharacters);

test('shows apps with desired and running instances, DEAs, the latest decisions and hints', () => {
  const lines = shown({ columns: 120, rows: 40 });
  expect(lines).toHaveLength(40);
  expect(lines.find((line) => line.startsWith('web'))).toMatch(/STARTED +v1 +2 +2 +0:101@1 1:102@1/);
  expect(lines.find((line) => line.startsWith('dea-1'))).toMatch(/up +100 +2/);
  expect(lines.find((line) => line.startsWith('dea-2'))).toMatch(/gone, replaced in 8 s +- +0/);
  const text = lines.join('\n');
  expect(text).toContain('start web/99 (missing)');
  expect(text).not.toContain('start web/1 (missing)');
  expect(text).toContain('kill -9 101');
  expect(text).toContain('kill -9 100');
  expect(text).toContain('/somewhere/apps.yml');
});

test('80 x 24 shows all of it but the hints, which take turns', () => {
  const hints = new Set<string>();
  for (let nowMs = 0; nowMs < 60_000; nowMs += 1_000) {
    const lines = render({ ...view, nowMs }, { columns: 80, rows: 24 }).map(stripVTControlCharacters);
    expect(lines).toHaveLength(24);
    expect(lines.filter((line) => line.endsWith('...'))).toEqual([]);
    for (const line of lines.slice(-2)) hints.add(line);
    expect(lines).toContain('All 2 wanted instances run.');
    expect(lines).toContain('pids: nudger 300');
  }
  expect([...hints].join('\n')).toContain('kill -9 300');
  expect(hints.size).toBe(8);
});

test('a hold that comes on or ends is a line of the story', () => {
  const hold = { hold: 'mass_loss', held: 1, deas: 3, of: 3 };
  const holds = new HoldStory({ hold: 20 });
  // The second reading has what the hold keeps back.
  expect(holds.read({ holds: [hold] })).toEqual([]);
  const on = { holds: [{ ...hold, held: 12 }] };
  expect(holds.read(on)).toEqual([
    {
      text: 'holds 12 starts: mass_loss, 3 of 3 DEAs went silent at once; ends in 20 s, or deploy/hm release mass_loss',
      isOver: false,
    },
  ]);
  expect(holds.read(on)).toEqual([]);
  expect(holds.read({ holds: [] })).toEqual([{ text: 'the hold mass_loss is over', isOver: true }]);
});

test('never exceeds the size of the terminal', () => {
  for (const size of [
    { columns: 40, rows: 12 },
    { columns: 10, rows: 3 },
  ]) {
    const lines = shown(size);
    expect(lines.length).toBeLessThanOrEqual(size.rows);
    for (const line of lines) expect(line.length).toBeLessThan(size.columns);
  }
});

test('control characters in events do not reach the terminal', () => {
  expect(render(view, { columns: 120, rows: 30 }).join('')).not.toContain('\x1b[2J');
});
