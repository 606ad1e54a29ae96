import { pino } from 'pino';
import { expect, test } from 'vitest';
import { NOW, SECOND } from '../../common/testing/builders.ts';
import type { HoldState } from '../../common/views/fleet.ts';
import { HoldLog } from './hold-log.ts';

test('a hold is said when it comes, once a minute while it is on, and when it is over', () => {
  const lines: Record<string, unknown>[] = [];
  const log = new HoldLog(pino({ base: null }, { write: (line) => void lines.push(JSON.parse(line)) }));
  const off: HoldState = { hold: 'mass_delete', on: false, droplets: 0 };
  const on: HoldState = { hold: 'mass_delete', on: true, sinceMs: NOW - SECOND, droplets: 7 };
  const unknown: HoldState = { hold: 'actual_not_fresh', on: true, droplets: 0 };
  const updated: HoldState = { hold: 'update_required', on: true, droplets: 3 };
  const said = (holds: HoldState[], atS: number) => {
    lines.length = 0;
    log.update(holds, NOW + atS * SECOND);
    return lines.map(({ event, hold, since, droplets }) => [event, hold, since, droplets]);
  };
  expect(said([off, updated], 0)).toEqual([]);
  const since = NOW / 1000 - 1;
  expect(said([on, unknown], 5)).toEqual([
    ['hold_on', 'mass_delete', since, 7],
    ['hold_on', 'actual_not_fresh', null, 0],
  ]);
  expect(said([on], 64)).toEqual([]);
  expect(said([on], 65)).toEqual([['hold_on', 'mass_delete', since, 7]]);
  expect(said([off], 70)).toEqual([['hold_off', 'mass_delete', undefined, undefined]]);
  expect(said([off], 200)).toEqual([]);
  expect(said([on], 205)).toEqual([['hold_on', 'mass_delete', since, 7]]);
});

test('one that has been on for more than a minute is over all the same', () => {
  const lines: string[] = [];
  const log = new HoldLog(pino({}, { write: (line) => void lines.push(line) }));
  log.update([{ hold: 'mass_loss', on: true, droplets: 0 }], NOW);
  log.update([{ hold: 'mass_loss', on: false, droplets: 0 }], NOW + 100 * SECOND);
  expect(lines).toHaveLength(2);
});
