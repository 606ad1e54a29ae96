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
  placement.heard(JSON.stringify({ droplets: entries, dea }));
}

test('the least loaded first, then who runs least of the same app, then by id', () => {
  heartbeat('c', 'web', 'web');
  heartbeat('b', 'web');
  heartbeat('a', 'api');
  heartbeat('d');
  expect(placement.candidates('api')).toEqual(['d', 'b', 'a', 'c']);
  expect(placement.candidates('web')).toEqual(['d', 'a', 'b', 'c']);
});

test('what is placed counts until it is listed, and not if it was not taken', () => {
  heartbeat('a');
  heartbeat('b');
  placement.place('a', 'web/0');
  expect(placement.candidates('web')).toEqual(['b', 'a']);
  placement.placed('a', 'web/0', 'a-0');
  expect(placement.candidates('web')).toEqual(['b', 'a']);
  heartbeat('b', 'api');
  heartbeat('a', 'web');
  expect(placement.candidates('api')).toEqual(['a', 'b']); // one each, and not one and two
  placement.place('a', 'web/1');
  placement.placed('a', 'web/1', undefined);
  expect(placement.candidates('api')).toEqual(['a', 'b']);
});

test('who is silent, has said farewell, or takes none gets none', () => {
  heartbeat('silent');
  nowMs = 60;
  heartbeat('gone');
  heartbeat('full');
  heartbeat('alive');
  placement.left(JSON.stringify({ id: 'gone' }));
  placement.refuses('full');
  expect(placement.candidates('web')).toEqual(['alive', 'silent']);
  nowMs = 101;
  expect(placement.candidates('web')).toEqual(['alive']);
  heartbeat('silent');
  expect(placement.candidates('web')).toContain('silent');
});

test('what is no heartbeat names no agent', () => {
  placement.heard('{');
  placement.heard('{"dea":"a"}');
  placement.left('[]');
  expect(placement.candidates('web')).toEqual([]);
});
