import { expect, test } from 'vitest';
import type { BulkApp } from '../../sim/controller.ts';
import type { TrueInstance } from '../scripted-dea.ts';
import type { SentMessage } from '../sent.ts';
import { Hm9000Referee } from './referee.ts';

const APP: BulkApp = { state: 'STARTED', package_state: 'STAGED', version: 'v', instances: 2 };

function instance(guid: string, index: number, more: object = {}): TrueInstance {
  const dea = { connected: true };
  const report = { state: 'RUNNING', atMs: 1 };
  return {
    ...{
      guid,
      droplet: 'web',
      version: 'v',
      index,
      state: 'RUNNING',
      sinceS: 1,
      startedMs: 1,
      isListed: true,
    },
    ...{ dea, processed: report, ...more },
  } as unknown as TrueInstance;
}

function sent(kind: SentMessage['kind'], more: Record<string, unknown> = {}): SentMessage {
  const message =
    kind === 'start'
      ? { message_id: 'd', droplet: 'web', version: 'v', instance_index: 0, ...more }
      : {
          ...{ message_id: 'd', droplet: 'web', version: 'v' },
          ...{ instance_guid: 'i', instance_index: 0, is_duplicate: false, ...more },
        };
  const index = (message as { instance_index: number }).instance_index;
  const of = { kind, droplet: 'web', index, instance: kind === 'stop' ? 'i' : undefined, message };
  return { ...of, reason: '', id: 'd', decision: 'd', at: 0, realMs: 0, text: JSON.stringify(message) };
}

function judge(message: SentMessage, app: BulkApp | undefined = APP, instances: TrueInstance[] = []) {
  const referee = new Hm9000Referee({ app: () => app, instances: () => instances });
  return { refusal: referee.check(message), violations: referee.violations.length };
}

test.each([
  ['of a stopped app', sent('start'), { ...APP, state: 'STOPPED' }, 'not started'],
  ['of an app that is not staged', sent('start'), { ...APP, package_state: 'PENDING' }, 'not staged'],
  ['of an old version', sent('start', { version: 'old' }), APP, 'not the current version'],
  ['out of range', sent('start', { instance_index: 2 }), APP, 'index out of range'],
])('a start %s is refused', (_, message, app, refusal) => {
  expect(judge(message, app)).toEqual({ refusal, violations: 1 });
});

test('a start that fits is accepted, unless the slot runs', () => {
  expect(judge(sent('start'))).toEqual({ refusal: undefined, violations: 0 });
  expect(judge(sent('start'), APP, [instance('i', 0)])).toEqual({ refusal: undefined, violations: 1 });
});

test.each([
  ['a wanted index', {}, APP, [], 'the index is wanted'],
  ['a surplus index', { instance_index: 2 }, APP, [], undefined],
  ['an old version', { version: 'old' }, APP, [], undefined],
  ['a stopped app', {}, { ...APP, state: 'STOPPED' }, [], undefined],
  ['a duplicate', { is_duplicate: true }, APP, [instance('i', 0), instance('j', 0)], undefined],
])('a stop of %s', (_, message, app, instances, refusal) => {
  expect(judge(sent('stop', message), app, instances)).toEqual({ refusal, violations: refusal ? 1 : 0 });
});

test('a stop of the only instance as a duplicate is a violation, though the controller accepts it', () => {
  const found = judge(sent('stop', { is_duplicate: true }), APP, [instance('i', 0)]);
  expect(found).toEqual({ refusal: undefined, violations: 1 });
});

test('other keys, or another id, are violations', () => {
  expect(judge(sent('start', { running: {} })).violations).toBe(1);
  expect(judge(sent('start', { message_id: 'other' })).violations).toBe(1);
});
