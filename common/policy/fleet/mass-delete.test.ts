import { describe, expect, it } from 'vitest';
import { NOW, SECOND, SETTINGS } from '../../testing/builders.ts';
import { type MassDelete, massDeleteAfter, massDeleteAfterPass, releaseMassDelete } from './mass-delete.ts';

describe('mass_delete', () => {
  const afterPass = (accepted: number | undefined, listed: number, live = 0) =>
    massDeleteAfterPass(accepted === undefined ? {} : { accepted }, listed, live, NOW, SETTINGS);
  const isOn = ({ sinceMs }: MassDelete) => sinceMs !== undefined;

  it.each<[string, number | undefined, number, boolean]>([
    ['is off when the first pass lists nothing', undefined, 0, false],
    ['is on when a pass lists nothing', 100, 0, true],
    ['is off when exactly half are gone', 100, 50, false],
    ['is on when more than half are gone', 100, 49, true],
    ['is off when fewer than minimum_droplets are gone', 9, 0, false],
    ['is on when exactly minimum_droplets are gone', 10, 0, true],
    ['is off when a pass lists more than before', 10, 100, false],
  ])('%s', (_, accepted, listed, expected) => {
    expect(isOn(afterPass(accepted, listed))).toBe(expected);
  });

  it.each<[string, number | undefined, number, number, boolean]>([
    ['is on when the first pass lists nothing and 20 droplets run', undefined, 0, 20, true],
    ['is on when Redis was emptied and a later pass lists too few of those that run', 0, 5, 20, true],
    ['is off when most of those that run are listed', undefined, 15, 20, false],
    ['is off when fewer than minimum_droplets run beside the list', undefined, 0, 9, false],
    ['compares with the larger of accepted and running droplets', 100, 30, 20, true],
  ])('%s', (_, accepted, listed, live, expected) => {
    expect(isOn(afterPass(accepted, listed, live))).toBe(expected);
  });

  it('is not raised again by running droplets after it ended, until they are stopped or listed', () => {
    const ended = releaseMassDelete(afterPass(undefined, 0, 20));
    const next = massDeleteAfterPass(ended, 0, 20, NOW, SETTINGS);
    expect(next).toEqual({ accepted: 0, ended: true });
    const stopped = massDeleteAfterPass(next, 0, 0, NOW, SETTINGS);
    expect(stopped).toEqual({ accepted: 0 });
    expect(isOn(massDeleteAfterPass(stopped, 0, 20, NOW, SETTINGS))).toBe(true);
  });

  it('compares with the last accepted pass, and ends when the droplets are listed again', () => {
    const on = afterPass(100, 0);
    const still = massDeleteAfterPass(on, 10, 0, NOW + SECOND, SETTINGS);
    expect(still).toEqual({ sinceMs: NOW, accepted: 100, listed: 10 });
    expect(massDeleteAfterPass(still, 60, 0, NOW + SECOND, SETTINGS)).toEqual({ accepted: 60 });
  });

  it('ends after `hold` seconds or by an operator, and then the latest pass is accepted', () => {
    const on = afterPass(100, 3);
    expect(massDeleteAfter(on, NOW + 3600 * SECOND - 1, SETTINGS)).toBe(on);
    expect(massDeleteAfter(on, NOW + 3600 * SECOND, SETTINGS)).toEqual({ accepted: 3, ended: true });
    expect(massDeleteAfterPass(on, 3, 0, NOW + 3600 * SECOND, SETTINGS)).toEqual({
      accepted: 3,
      ended: true,
    });
    expect(releaseMassDelete(on)).toEqual({ accepted: 3, ended: true });
    expect(isOn(massDeleteAfterPass(releaseMassDelete(on), 3, 0, NOW, SETTINGS))).toBe(false);
  });
});
