import { describe, expect, test } from 'vitest';
import { DEA, ENTRY, EXIT, one, useAgents } from './testing/agent-fixture.ts';

const agents = useAgents();
const { send, heartbeat, beat, found } = agents;

describe('intervals', () => {
  test.each([
    ['every 10 s', [10, 10, 10, 10], undefined],
    ['10 s late once', [10, 15, 10], undefined],
    ['every 14 s', [14, 14, 14], /one every 14 s/],
    ['one is missing', [10, 20, 10, 10], /none for 20 s/],
    ['silent for longer than droplet_lost', [10, 31, 10], /no heartbeat for 31 s/],
  ])('%s', (_, gaps, detail) => {
    heartbeat([]);
    for (const gapS of gaps) {
      agents.atMs += gapS * 1000;
      heartbeat([]);
    }
    const kind = detail?.source.includes('no heartbeat') ? 'silent' : 'slow_heartbeats';
    expect(found()).toEqual(
      detail === undefined ? [] : [expect.objectContaining({ kind, detail: expect.stringMatching(detail) })],
    );
  });

  test('silence at the end counts, after dea.shutdown it does not', () => {
    heartbeat([], 'dies');
    heartbeat([], 'leaves');
    send('dea.shutdown', { id: 'leaves' });
    agents.atMs += 40_000;
    expect(found()).toEqual(one('silent', '40 s', { who: 'dies' }));
  });

  test('a lost connection is no silence of the agents', () => {
    heartbeat([]);
    agents.atMs += 60_000;
    agents.checks.interrupt();
    heartbeat([]);
    expect(found()).toEqual([]);
  });

  test('healthmanager.start asks for a heartbeat at once', () => {
    heartbeat([], 'answers');
    heartbeat([], 'does not');
    agents.atMs += 1_000;
    send('healthmanager.start', {});
    heartbeat([], 'answers');
    agents.atMs += 8_000;
    heartbeat([], 'does not');
    expect(found()).toEqual(one('start_unanswered', '3 s', { who: 'does not' }));
  });
});

describe('an instance that ended without an exit', () => {
  test.each<[string, (() => void) | undefined]>([
    ['nothing was heard of it', undefined],
    [
      'an exit came',
      () => send('droplet.exited', { ...EXIT, reason: 'STOPPED', crash_timestamp: undefined }),
    ],
    ['health.stop named it', () => send('health.stop', { droplet: 'app', instances: { 'i-1': 'v1' } })],
    ['hm9000.stop named it', () => send('hm9000.stop', { droplet: 'app', instance_guid: 'i-1' })],
    ['its app was changed', () => send('droplet.updated', { droplet: 'app', cc_partition: 'default' })],
  ])('%s', (_, before) => {
    beat([ENTRY]);
    before?.();
    beat([]);
    const expected =
      before === undefined ? one('ended_without_exit', 'left the list', { who: DEA, example: 'i-1' }) : [];
    expect(found()).toEqual(expected);
  });

  test('it is listed as CRASHED', () => {
    beat([ENTRY]);
    beat([{ ...ENTRY, state: 'CRASHED' }]);
    expect(found()).toEqual(one('ended_without_exit', 'CRASHED'));
  });

  test('its exit may still be on its way', () => {
    beat([ENTRY]);
    heartbeat([]);
    expect(found()).toEqual([]);
  });
});
