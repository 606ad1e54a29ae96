import { describe, expect, it } from 'vitest';
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

const missing = () => droplet();
const crashed = () => droplet({ exits: [exit('a')] });
const extraIndex = () => droplet({ instances: [instance('a'), instance('b', { index: 1 })] });

describe('under a hold', () => {
  it('a held start is decided once, requeued every few seconds, and started when the hold ends', () => {
    const d = missing();
    const first = decide(d, deas(), holds({ actualNotFresh: true }), NOW, SETTINGS);
    expect(first.slots.get(0)?.held).toBe('actual_not_fresh');
    expect(first.requeueAtMs).toBe(NOW + 5 * SECOND);
    const held = applyDecision(d, first);
    const second = decide(held, deas(), holds({ actualNotFresh: true }), NOW, SETTINGS);
    expect(second).toMatchObject({ decisions: [], changed: false, requeueAtMs: NOW + 5 * SECOND });
    const over = decide(held, deas(), holds(), NOW, SETTINGS);
    expect(over.decisions).toMatchObject([{ kind: 'start', reason: 'missing' }]);
    expect(over.slots.get(0)?.held).toBeUndefined();
  });

  it('a held stop is decided once, and the stop when the hold ends', () => {
    const d = extraIndex();
    const first = decide(d, deas(), holds({ desiredUnavailable: true }), NOW, SETTINGS);
    expect(first.stops.get('b')).toMatchObject({ held: 'desired_unavailable', reason: 'extra_index' });
    expect(first.requeueAtMs).toBe(NOW + 5 * SECOND);
    const held = applyDecision(d, first);
    expect(decide(held, deas(), holds({ desiredUnavailable: true }), NOW, SETTINGS)).toMatchObject({
      decisions: [],
      changed: false,
    });
    const over = decide(held, deas(), holds(), NOW, SETTINGS);
    expect(over.decisions).toMatchObject([{ kind: 'stop', instance: 'b' }]);
    expect(over.stops.get('b')?.held).toBeUndefined();
  });

  it('a held start is forgotten when the slot is live again', () => {
    const wasHeld = applyDecision(
      missing(),
      decide(missing(), deas(), holds({ actualNotFresh: true }), NOW, SETTINGS),
    );
    const back = decide(
      { ...wasHeld, instances: [instance('a')] },
      deas(),
      holds({ actualNotFresh: true }),
      NOW,
      SETTINGS,
    );
    expect(back).toMatchObject({ decisions: [], changed: true });
    expect(back.slots.size).toBe(0);
  });

  it('update_required: a crash of the started instance waits too, and is not lost', () => {
    const d = droplet({
      exits: [exit('new', { atMs: NOW - 2 * SECOND })],
      handledExits: 1e9,
      updatedMs: NOW - SECOND,
      slots: [
        slot({ start: { id: 's', reason: 'missing', priority: 'normal', decidedMs: NOW - 5 * SECOND } }),
      ],
      outcomes: [{ id: 's', outcome: 'sent', atMs: NOW - 4 * SECOND }],
    });
    const waiting = decide(d, deas(), holds(), NOW, SETTINGS);
    expect(waiting.decisions).toEqual([]);
    const listed = { ...applyDecision(d, waiting), listedMs: NOW };
    expect(decide(listed, deas(), holds(), NOW, SETTINGS).decisions).toMatchObject([
      { kind: 'start', reason: 'crashed' },
    ]);
  });

  it('update_required: exits are neither lost nor counted twice, and decided by the desired state of the pass', () => {
    const d = { ...crashed(), updatedMs: NOW - SECOND };
    const waiting = decide(d, deas(), holds(), NOW, SETTINGS);
    expect(waiting.handledExits).toBe(0);
    const before = applyDecision(d, waiting);
    const scaledAway = { ...before, listedMs: NOW, desired: desired({ instances: 0 }) };
    expect(decide(scaledAway, deas(), holds(), NOW, SETTINGS).decisions).toEqual([]);
    const same = decide({ ...before, listedMs: NOW }, deas(), holds(), NOW, SETTINGS);
    expect(same.decisions).toMatchObject([{ kind: 'start', reason: 'crashed' }]);
    expect(same.slots.get(0)?.crashes).toBe(1);
    expect(same.handledExits).toBe(d.exits[0]?.n);
  });
});
