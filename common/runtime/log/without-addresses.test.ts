import { expect, test } from 'vitest';
import { withoutAddresses } from './without-addresses.ts';

test.each([
  ['redis: connect ECONNREFUSED 10.0.0.1:6379', 'redis: connect ECONNREFUSED ***'],
  ['redis: connect ECONNREFUSED ::1:6379', 'redis: connect ECONNREFUSED ***'],
  ['redis: connect EHOSTUNREACH fe80::1%eth0:6379', 'redis: connect EHOSTUNREACH ***'],
  ['redis: [2001:db8::7]:6379 does not answer', 'redis: *** does not answer'],
  ['redis: no connection to redis-1.internal:6379', 'redis: no connection to ***'],
  ['redis: getaddrinfo ENOTFOUND redis.internal', 'redis: getaddrinfo ENOTFOUND ***'],
  ['redis: getaddrinfo EAI_AGAIN redis', 'redis: getaddrinfo EAI_AGAIN ***'],
  ['redis: connect ENOENT redis://u:***@10.0.0.1:6379/0', 'redis: connect ENOENT ***'],
  ['nats: nats-1:4222, nats-2:4222: CONNECTION_REFUSED', 'nats: ***, ***: CONNECTION_REFUSED'],
  ['nats: connection to 10.1.2.3:4222 lost', 'nats: connection to *** lost'],
  ['redis: 10.1.2.3', 'redis: ***'],
])('%s becomes %s', (text, expected) => {
  expect(withoutAddresses(text)).toBe(expected);
});

test.each([
  'process: starting',
  'nats dea.heartbeat: NATS refuses the subscription to dea.heartbeat',
  'redis writes: redis refuses writes: OOM',
  'nats hm.x.default.ingest.1: authorization violation',
])('%s stays', (text) => {
  expect(withoutAddresses(text)).toBe(text);
});

test.each(['a:', ':', 'a.', '[:', '1.', 'ENOTFOUND ', 'a-', '::1%', 'x://'])(
  'a long text takes no long time: %s',
  (part) => {
    const beganMs = performance.now();
    withoutAddresses(part.repeat(Math.ceil(100_000 / part.length)));
    expect(performance.now() - beganMs).toBeLessThan(1_000);
  },
);
