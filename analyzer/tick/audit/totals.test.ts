import { describe, expect, test } from 'vitest';
import type { Droplet } from '../../../common/model/droplet.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  instance,
  NOW,
  SECOND,
  SETTINGS,
  slot,
} from '../../../common/testing/builders.ts';
import { Totals } from './totals.ts';

const DEAS = deas({ silent: { lastHeartbeatMs: NOW - 31 * SECOND } });

/** The fields that are not 0. */
function count(...droplets: Droplet[]): Record<string, number> {
  const totals = new Totals(SETTINGS);
  const moment = { deas: DEAS, nowMs: NOW, lostBeforeMs: NOW - SETTINGS.dropletLostMs };
  for (const one of droplets) totals.add({ droplet: one, decided: one, ...moment });
  return Object.fromEntries(Object.entries(totals.toFields()).filter(([, value]) => value !== 0));
}

const one = { droplets: 1, apps: 1, instances: 1, memory_mb: 256 };
/** It has a live instance, wanted or not. */
const lives = { live_droplets: 1 };
const started = { started_apps: 1, started_instances: 1, started_memory_mb: 256 };

test('all fields are present, so that storing them overwrites old values', () => {
  const fields = new Totals(SETTINGS).toFields();
  expect(Object.keys(fields)).toContain('held_mass_loss');
  expect(new Set(Object.values(fields))).toEqual(new Set([0]));
});

describe('a droplet', () => {
  test.each<[string, Parameters<typeof droplet>[0], Record<string, number>]>([
    ['that runs', { instances: [instance('a')] }, { ...lives, ...one, ...started, running: 1 }],
    [
      'that starts',
      { instances: [instance('a', { state: 'STARTING' })] },
      { ...lives, ...one, ...started, running: 1 },
    ],
    ['without an instance', {}, { ...one, ...started, missing: 1 }],
    [
      'that evacuates',
      { instances: [instance('a', { state: 'EVACUATING' })] },
      { ...one, ...started, missing: 1 },
    ],
    [
      'on a silent DEA',
      { instances: [instance('a', { dea: 'silent' })] },
      { ...one, ...started, missing: 1 },
    ],
    [
      'that runs twice',
      { instances: [instance('a'), instance('b')] },
      { ...lives, ...one, ...started, running: 1 },
    ],
    [
      'of another version',
      { instances: [instance('a', { version: 'v0' })] },
      { ...lives, ...one, ...started, missing: 1 },
    ],
    [
      'of another index',
      { instances: [instance('a', { index: 1 })] },
      { ...lives, ...one, ...started, missing: 1 },
    ],
    ['that is stopped', { desired: desired({ state: 'STOPPED' }) }, one],
    ['that is not staged', { desired: desired({ packageState: 'PENDING' }) }, { ...one, ...started }],
    ['that is gone', { goneMs: NOW, instances: [instance('a')] }, { ...lives, droplets: 1 }],
    ['that never was desired', { desired: undefined, instances: [instance('a')] }, { ...lives, droplets: 1 }],
    [
      'that crashed',
      { exits: [exit('a'), exit('b', { atMs: NOW - 501 * SECOND }), exit('c', { reason: 'STOPPED' })] },
      { ...one, ...started, missing: 1, crashed: 1, started_crashed: 1 },
    ],
    [
      'that is stopped and crashed before, as its DEA still lists it',
      { desired: desired({ state: 'STOPPED' }), instances: [instance('a', { state: 'CRASHED' })] },
      { ...one, crashed: 1 },
    ],
    [
      'that is flapping',
      { slots: [slot({ flapping: true, crashes: 2 }), slot({ index: 1, flapping: true, crashes: 2 })] },
      { ...one, ...started, missing: 1, flapping: 1 },
    ],
    [
      'that is unplaced',
      { slots: [slot({ attempts: 3, retryMs: NOW }), slot({ index: 1, attempts: 9, retryMs: NOW })] },
      { ...one, ...started, missing: 1, unplaced: 1 },
    ],
    [
      'whose starts had no effect twice',
      { slots: [slot({ attempts: 2, retryMs: NOW })] },
      { ...one, ...started, missing: 1 },
    ],
    [
      'with a start and a stop held',
      {
        slots: [slot({ held: 'mass_loss' })],
        stops: [
          { instance: 'x', id: 'x', reason: 'extra_index', decidedMs: NOW, held: 'mass_loss' },
          { instance: 'y', id: 'y', reason: 'duplicate', decidedMs: NOW, held: 'actual_not_fresh' },
          { instance: 'z', id: 'z', reason: 'extra_index', decidedMs: NOW },
        ],
      },
      { ...one, ...started, missing: 1, held_mass_loss: 1, held_actual_not_fresh: 1 },
    ],
  ])('%s', (_name, over, expected) => {
    expect(count(droplet(over))).toEqual(expected);
  });
});

test('many instances, two at each index', () => {
  const instances = Array.from({ length: 160 }, (_, n) => instance(`i${n}`, { index: Math.floor(n / 2) }));
  const found = count(droplet({ desired: desired({ instances: 100 }), instances }));
  expect(found).toMatchObject({ running: 80, missing: 20, instances: 100, memory_mb: 25_600 });
});

test('droplets add up', () => {
  const found = count(
    droplet({ instances: [instance('a')] }),
    droplet({ desired: desired({ instances: 2 }) }),
  );
  expect(found).toMatchObject({ droplets: 2, apps: 2, instances: 3, running: 1, missing: 2 });
});
