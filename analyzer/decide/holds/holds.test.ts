import { describe, expect, it } from 'vitest';
import type { Droplet, Holds } from '../../../common/model/droplet.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  holds,
  instance,
  LOST,
  NOW,
  SECOND,
  SETTINGS,
} from '../../../common/testing/builders.ts';
import { decide } from '../decide.ts';
import { answers } from '../simulation/evaluate.ts';

const UPDATED = { updatedMs: NOW - SECOND, handledUpdateMs: NOW - SECOND };

const missing = () => droplet();
const crashed = () => droplet({ exits: [exit('a')] });
const evacuating = () => droplet({ instances: [instance('a', { state: 'EVACUATING' })] });
const duplicates = () => droplet({ instances: [instance('a'), instance('b')] });
const extraIndex = () => droplet({ instances: [instance('a'), instance('b', { index: 1 })] });
const stopped = () => droplet({ desired: desired({ state: 'STOPPED' }), instances: [instance('a')] });
const extraApp = () => droplet({ goneMs: NOW - 3600 * SECOND, instances: [instance('a')] });

/** Updated `droplet_lost` ago: the grace period is over. */
const AWAITING_PASS = { updatedMs: NOW - LOST, handledUpdateMs: NOW - LOST };

const NO_PASS_SINCE = { lastPassBegunMs: NOW - LOST };

describe('which hold covers what', () => {
  it.each<[string, Droplet, Partial<Holds>, string[]]>([
    ['no hold: missing', missing(), {}, ['start missing']],
    [
      'desired_unavailable: missing',
      missing(),
      { desiredUnavailable: true },
      ['held missing desired_unavailable'],
    ],
    ['desired_unavailable: a crash is acted on', crashed(), { desiredUnavailable: true }, ['start crashed']],
    [
      'desired_unavailable: an evacuation is acted on',
      evacuating(),
      { desiredUnavailable: true },
      ['start evacuated'],
    ],
    [
      'desired_unavailable: stopped',
      stopped(),
      { desiredUnavailable: true },
      ['held stopped desired_unavailable'],
    ],
    [
      'desired_unavailable: extra_index',
      extraIndex(),
      { desiredUnavailable: true },
      ['held extra_index desired_unavailable'],
    ],
    [
      'desired_unavailable: extra_app',
      extraApp(),
      { desiredUnavailable: true },
      ['held extra_app desired_unavailable'],
    ],
    ['desired_unavailable: not duplicates', duplicates(), { desiredUnavailable: true }, ['stop duplicate']],

    [
      'actual_not_fresh: an evacuation while all records are new, for it may be replaced long since',
      { ...evacuating(), firstSeenMs: NOW - LOST },
      { actualNotFresh: true },
      ['held evacuated actual_not_fresh'],
    ],
    [
      'actual_not_fresh: so the DEA_SHUTDOWN of an instance that no heartbeat has listed since',
      droplet({ firstSeenMs: NOW - LOST, exits: [exit('a', { reason: 'DEA_SHUTDOWN' })] }),
      { actualNotFresh: true },
      ['held evacuated actual_not_fresh'],
    ],
    [
      'actual_not_fresh: an evacuation that begins while all records are new is acted on',
      droplet({ firstSeenMs: NOW - LOST, exits: [exit('a', { reason: 'DEA_EVACUATION' })] }),
      { actualNotFresh: true },
      ['start evacuated'],
    ],
    [
      'actual_not_fresh: so is the end of an instance that was listed as RUNNING',
      droplet({
        firstSeenMs: NOW - LOST,
        instances: [instance('a')],
        exits: [exit('a', { reason: 'DEA_SHUTDOWN' })],
      }),
      { actualNotFresh: true },
      ['start evacuated'],
    ],
    [
      'actual_not_fresh: surplus instances while all records are new, for another DEA may have made them up',
      { ...extraIndex(), firstSeenMs: NOW - LOST },
      { actualNotFresh: true },
      ['held extra_index actual_not_fresh'],
    ],
    [
      'actual_not_fresh: extra_index of an older record',
      extraIndex(),
      { actualNotFresh: true },
      ['stop extra_index'],
    ],
    [
      'actual_not_fresh: a crash from before all records were new, for it may be stored a second time',
      droplet({ firstSeenMs: NOW - LOST, exits: [exit('a', { atMs: NOW - LOST - 1 })] }),
      { actualNotFresh: true },
      ['held crashed actual_not_fresh'],
    ],
    [
      'actual_not_fresh: that crash if nobody listens since, however long ago the record began',
      droplet({ firstSeenMs: NOW - 3 * LOST, exits: [exit('a', { atMs: NOW - 3 * LOST - 1 })] }),
      { actualNotFresh: true, listeningBegunMs: undefined as never },
      ['held crashed actual_not_fresh'],
    ],
    [
      'actual_not_fresh: that crash if DEAs are heard for less than droplet_lost',
      droplet({ firstSeenMs: NOW - 3 * LOST, exits: [exit('a', { atMs: NOW - 3 * LOST - 1 })] }),
      { actualNotFresh: true, listeningBegunMs: NOW - LOST },
      ['held crashed actual_not_fresh'],
    ],
    [
      'actual_not_fresh: a crash while all records are new is acted on',
      { ...crashed(), firstSeenMs: NOW - LOST },
      { actualNotFresh: true },
      ['start crashed'],
    ],
    ['actual_not_fresh: missing', missing(), { actualNotFresh: true }, ['held missing actual_not_fresh']],
    ['actual_not_fresh: a crash is acted on', crashed(), { actualNotFresh: true }, ['start crashed']],
    [
      'actual_not_fresh: an evacuation is acted on',
      evacuating(),
      { actualNotFresh: true },
      ['start evacuated'],
    ],
    [
      'actual_not_fresh: duplicates',
      duplicates(),
      { actualNotFresh: true },
      ['held duplicate actual_not_fresh'],
    ],
    ['actual_not_fresh: no other stops', extraIndex(), { actualNotFresh: true }, ['stop extra_index']],

    ['mass_delete: extra_app', extraApp(), { massDelete: true }, ['held extra_app mass_delete']],
    ['mass_delete: no other stops', stopped(), { massDelete: true }, ['stop stopped']],
    ['mass_delete: not missing', missing(), { massDelete: true }, ['start missing']],
    [
      'mass_delete: a crash of an app that seems deleted is acted on',
      { ...crashed(), goneMs: NOW - SECOND },
      { massDelete: true },
      ['start crashed'],
    ],
    [
      'mass_delete: its missing slots are not started',
      { ...missing(), goneMs: NOW - SECOND },
      { massDelete: true },
      [],
    ],

    [
      'update_required: missing',
      { ...missing(), ...AWAITING_PASS },
      NO_PASS_SINCE,
      ['held missing update_required'],
    ],
    [
      'update_required: an evacuation waits',
      { ...evacuating(), ...UPDATED },
      { lastPassBegunMs: NOW - LOST },
      ['held evacuated update_required'],
    ],
    [
      'update_required: a crash waits',
      { ...crashed(), ...UPDATED },
      { lastPassBegunMs: NOW - LOST },
      ['held crashed update_required'],
    ],
    [
      'update_required: stops',
      { ...stopped(), ...UPDATED },
      { lastPassBegunMs: NOW - LOST },
      ['held stopped update_required'],
    ],
    [
      'update_required: duplicates',
      { ...duplicates(), ...UPDATED },
      { lastPassBegunMs: NOW - LOST },
      ['held duplicate update_required'],
    ],
    [
      'update_required: over when a pass since listed it',
      { ...missing(), ...AWAITING_PASS, listedMs: NOW - LOST + 1 },
      NO_PASS_SINCE,
      ['start missing'],
    ],
    [
      'update_required: over when a pass since completed',
      { ...missing(), ...AWAITING_PASS },
      { lastPassBegunMs: NOW - LOST + 1 },
      ['start missing'],
    ],
    [
      'update_required: a pass that began before does not count',
      { ...missing(), ...AWAITING_PASS, listedMs: NOW - LOST },
      NO_PASS_SINCE,
      ['held missing update_required'],
    ],
    [
      'several holds: one is named',
      { ...missing(), ...AWAITING_PASS },
      { ...NO_PASS_SINCE, desiredUnavailable: true, actualNotFresh: true },
      ['held missing update_required'],
    ],
  ])('%s', (_, d, on, expected) => {
    expect(answers(d, on)).toEqual(expected);
  });

  it('update_required: on until the first complete pass', () => {
    const { lastPassBegunMs: _, ...none } = holds();
    const decided = decide({ ...missing(), ...AWAITING_PASS }, deas(), none, NOW, SETTINGS);
    expect(decided.decisions).toMatchObject([{ kind: 'held', hold: 'update_required' }]);
  });
});
