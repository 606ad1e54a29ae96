import { expect, it } from 'vitest';
import { startMessage, stopMessage } from './outgoing.ts';

it('a start has exactly the form that controllers parse', () => {
  const running = new Map([
    ['v', 2],
    ['old', 0],
  ]);
  const start = {
    droplet: 'd',
    updatedAtS: 1_398_000_000.7,
    version: 'v',
    index: 2,
    running,
    flapping: false,
  };
  expect(startMessage(start)).toBe(
    '{"droplet":"d","last_updated":1398000000,"version":"v","indices":[2],"running":{"v":2},"flapping":false}',
  );
});

it('a stop has exactly the form that controllers parse', () => {
  const stop = {
    droplet: 'd',
    updatedAtS: 1_398_000_000,
    instances: [['i', 'v']] as const,
    index: 0,
    running: new Map([['v', 3]]),
    version: 'v',
  };
  expect(stopMessage(stop)).toBe(
    '{"droplet":"d","last_updated":1398000000,"instances":{"i":"v"},"running":{"v":3},"version":"v"}',
  );
});

it('a stop of a droplet that is not desired has nulls', () => {
  const stop = {
    droplet: 'd',
    updatedAtS: undefined,
    instances: [['i', 'v']] as const,
    index: 0,
    running: [],
    version: undefined,
  };
  expect(stopMessage(stop)).toBe(
    '{"droplet":"d","last_updated":null,"instances":{"i":"v"},"running":{},"version":null}',
  );
});

it('__proto__ may be an id', () => {
  const proto = '__proto__';
  const stop = {
    droplet: proto,
    updatedAtS: 1,
    instances: [[proto, proto]] as const,
    index: 0,
    running: [[proto, 1]] as const,
    version: proto,
  };
  expect(stopMessage(stop)).toBe(
    '{"droplet":"__proto__","last_updated":1,"instances":{"__proto__":"__proto__"},"running":{"__proto__":1},"version":"__proto__"}',
  );
});
