import { beforeEach, expect, test } from 'vitest';
import { Placement } from './placement.ts';

let nowMs: number;
let placement: Placement;
beforeEach(() => {
  nowMs = 0;
  placement = new Placement(100, () => nowMs);
});

function heartbeat(dea: string, ...droplets: string[]): void {
  const entries = droplets.map((droplet, at) => ({ droplet, instance: `${dea}-${at}`, state: 'RUNNING' }));
  placement.onHeartbeat(JSON.stringify({ droplets: entries, dea }));
}

test('candidates are ordered by load, then by instances of the same app, then by id', () => {
  heartbeat('c', 'web', 'web');
  heartbeat('b', 'web');
  heartbeat('a', 'api');
  heartbeat('d');
  expect(placement.candidates('api')).toEqual(['d', 'b', 'a', 'c']);
  expect(placement.candidates('web')).toEqual(['d', 'a', 'b', 'c']);
});

test('a placed instance counts until it is listed; a refused one does not count', () => {
  heartbeat('a');
  heartbeat('b');
  placement.reserve('a', 'web/0');
  expect(placement.candidates('web')).toEqual(['b', 'a']);
  placement.confirm('a', 'web/0', 'a-0');
  expect(placement.candidates('web')).toEqual(['b', 'a']);
  heartbeat('b', 'api');
  heartbeat('a', 'web');
  expect(placement.candidates('api')).toEqual(['a', 'b']); // one instance each: the placed one is not counted twice
  placement.reserve('a', 'web/1');
  placement.confirm('a', 'web/1', undefined);
  expect(placement.candidates('api')).toEqual(['a', 'b']);
});

test('DEAs that are silent, shut down or full are no candidates', () => {
  heartbeat('silent');
  nowMs = 60;
  heartbeat('gone');
  heartbeat('full');
  heartbeat('alive');
  placement.onShutdown(JSON.stringify({ id: 'gone' }));
  placement.markFull('full');
  expect(placement.candidates('web')).toEqual(['alive', 'silent']);
  nowMs = 101;
  expect(placement.candidates('web')).toEqual(['alive']);
  heartbeat('silent');
  expect(placement.candidates('web')).toContain('silent');
});

test('other messages add no DEA', () => {
  placement.onHeartbeat('{');
  placement.onHeartbeat('{"dea":"a"}');
  placement.onShutdown('[]');
  expect(placement.candidates('web')).toEqual([]);
});
