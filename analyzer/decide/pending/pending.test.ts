import { describe, expect, it } from 'vitest';
import type { Droplet, Exit, Instance } from '../../../common/model/droplet.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  holds,
  instance,
  NOW,
  SECOND,
  SETTINGS,
  slot,
} from '../../../common/testing/builders.ts';
import { decide } from '../decide.ts';
import { applyDecision } from '../simulation/fixtures.ts';

const SENT = NOW - 20 * SECOND;

/** A start of slot 0 that was sent 20 s ago. */
function sent(
  over: Parameters<typeof droplet>[0] = {},
  reason: 'missing' | 'evacuated' = 'missing',
): Droplet {
  return droplet({
    desired: desired({ instances: 2 }),
    slots: [slot({ start: { id: 's', reason, priority: 'normal', decidedMs: SENT - SECOND } })],
    outcomes: [{ id: 's', outcome: 'sent', atMs: SENT }],
    ...over,
    instances: [instance('other', { index: 1 }), ...(over.instances ?? [])],
  });
}

const evaluate = (d: Droplet) => decide(d, deas(), holds(), NOW, SETTINGS);
/** `reason index` of each start decided. */
const starts = (d: Droplet) =>
  evaluate(d).decisions.flatMap((x) => (x.kind === 'start' ? [`${x.reason} ${x.index}`] : []));
const isOver = (d: Droplet) => evaluate(d).slots.get(0)?.start?.id !== 's';

describe('a start that was sent is over', () => {
  const came = (over: Partial<Instance> = {}) =>
    instance('new', { firstListedMs: NOW - 5 * SECOND, ...over });

  it.each<[string, Instance, boolean]>([
    ['an instance is STARTING at the slot', came({ state: 'STARTING' }), true],
    ['a new one is already evacuated', came({ state: 'EVACUATING' }), true],
    ['the previous one is live again', instance('back'), true],
    ['the previous one is evacuated', instance('old', { state: 'EVACUATING' }), false],
    ['one was started at another slot', came({ state: 'EVACUATING', index: 1 }), false],
    ['one of another version was started', came({ state: 'EVACUATING', version: 'v0' }), false],
  ])('%s: %s', (_, listed, over) => {
    expect(isOver(sent({ instances: [listed] }))).toBe(over);
  });

  it.each<[string, Partial<Exit>, boolean]>([
    ['the exit of an instance at the slot', {}, true],
    ['at another slot', { index: 1 }, false],
    ['of another version', { version: 'v0' }, false],
    ['from before it was sent', { atMs: SENT }, false],
  ])('%s: %s', (_, over, expected) => {
    expect(isOver(sent({ exits: [exit('x', over)], handledExits: 1e9 }))).toBe(expected);
  });
});

describe('the exit of an evacuated instance does not end the start that replaces it', () => {
  const evacuated = (instances: Instance[], exits: Exit[]) => sent({ instances, exits }, 'evacuated');
  const shutDown = (guid: string) => exit(guid, { reason: 'DEA_SHUTDOWN', atMs: NOW - SECOND });

  it('of an instance that no heartbeat listed', () => {
    const d = evacuated([], [shutDown('old')]);
    const decided = evaluate(d);
    expect(decided.decisions).toEqual([]);
    expect(decided.slots.get(0)?.start?.id).toBe('s');
    expect(evaluate(applyDecision(d, decided)).decisions).toEqual([]);
  });

  it('of one that was first listed after the start was sent, and only as EVACUATING', () => {
    const late = instance('old', { state: 'EVACUATING', firstListedMs: SENT + SECOND });
    expect(starts(evacuated([late], [shutDown('old')]))).toEqual([]);
  });

  it('but the exit of a started instance does', () => {
    const came = instance('new', { firstListedMs: SENT + SECOND });
    expect(starts(evacuated([came], [shutDown('new')]))).toEqual(['evacuated 0']);
  });

  it('a start with another reason is ended by it', () => {
    expect(starts(sent({ exits: [shutDown('new')] }))).toEqual(['evacuated 0']);
  });

  it('a crash is handled as a crash', () => {
    expect(starts(evacuated([], [exit('new', { atMs: NOW - SECOND })]))).toEqual(['crashed 0']);
  });
});
