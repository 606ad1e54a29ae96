import { pino } from 'pino';
import { expect, test } from 'vitest';
import { NOW, operatorHold, SECOND } from '../../common/testing/builders.ts';
import { captureLog } from '../../common/testing/context.ts';
import type { HoldState } from '../../common/views/fleet.ts';
import { HoldLog } from './hold-log.ts';

test('a hold is logged when it comes on, once a minute while it stays on, and when it ends', () => {
  const lines: Record<string, unknown>[] = [];
  const log = new HoldLog(pino({ base: null }, { write: (line) => void lines.push(JSON.parse(line)) }));
  const off: HoldState = { hold: 'mass_delete', on: false, droplets: 0 };
  const on: HoldState = { hold: 'mass_delete', on: true, sinceMs: NOW - SECOND, droplets: 7 };
  const unknown: HoldState = { hold: 'actual_not_fresh', on: true, droplets: 0 };
  const updated: HoldState = { hold: 'update_required', on: true, droplets: 3 };
  const logged = (holds: HoldState[], atS: number) => {
    lines.length = 0;
    log.update(holds, NOW + atS * SECOND);
    return lines.map(({ event, hold, sinceMs, droplets }) => [event, hold, sinceMs, droplets]);
  };
  expect(logged([off, updated], 0)).toEqual([]);
  const since = NOW - SECOND;
  expect(logged([on, unknown], 5)).toEqual([
    ['hold_on', 'mass_delete', since, 7],
    ['hold_on', 'actual_not_fresh', null, 0],
  ]);
  expect(logged([on], 64)).toEqual([]);
  expect(logged([on], 65)).toEqual([['hold_on', 'mass_delete', since, 7]]);
  expect(logged([off], 70)).toEqual([['hold_off', 'mass_delete', undefined, undefined]]);
  expect(logged([off], 200)).toEqual([]);
  expect(logged([on], 205)).toEqual([['hold_on', 'mass_delete', since, 7]]);
});

test('the end of a hold is logged, also more than a minute after its last line', () => {
  const lines: string[] = [];
  const log = new HoldLog(pino({}, { write: (line) => void lines.push(line) }));
  log.update([{ hold: 'mass_loss', on: true, droplets: 0 }], NOW);
  log.update([{ hold: 'mass_loss', on: false, droplets: 0 }], NOW + 100 * SECOND);
  expect(lines).toHaveLength(2);
});

test('the ingestor that stood still is named', () => {
  const lines: Record<string, unknown>[] = [];
  const log = new HoldLog(pino({ base: null }, { write: (line) => void lines.push(JSON.parse(line)) }));
  const takenOver = { ingestor: 'a', host: 'host-1', pid: 42 };
  log.update([{ hold: 'actual_not_fresh', on: true, droplets: 0, takenOver }], NOW);
  expect(lines).toEqual([expect.objectContaining({ hold: 'actual_not_fresh', takenOver })]);
});

test('the hold operator is logged with who paused what, and why', () => {
  const { log, lines } = captureLog();
  const operatorHolds = [operatorHold({ id: 'h7' })];
  new HoldLog(log).update([{ hold: 'operator', on: true, sinceMs: NOW, droplets: 0, operatorHolds }], NOW);
  expect(lines).toMatchObject([
    {
      event: 'hold_on',
      hold: 'operator',
      operatorHolds: [{ id: 'h7', by: 'alice', why: 'network maintenance' }],
    },
  ]);
});
