import { describe, expect, it } from 'vitest';
import { NOW, SECOND, SETTINGS } from '../testing/builders.ts';
import { type MassDelete, massDeleteAfter, massDeleteAfterPass, releaseMassDelete } from './mass-delete.ts';

describe('mass_delete', () => {
  const afterPass = (accepted: number | undefined, listed: number, previous: MassDelete = {}) =>
    massDeleteAfterPass(
      { ...previous, ...(accepted === undefined ? {} : { accepted }) },
      listed,
      NOW,
      SETTINGS,
    );
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

  it('compares with the last accepted pass, and ends when the droplets are listed again', () => {
    const on = afterPass(100, 0);
    const still = massDeleteAfterPass(on, 10, NOW + SECOND, SETTINGS);
    expect(still).toEqual({ sinceMs: NOW, accepted: 100, listed: 10 });
    expect(massDeleteAfterPass(still, 60, NOW + SECOND, SETTINGS)).toEqual({ accepted: 60 });
  });

  it('ends after `hold` seconds or by an operator, and then the latest pass is accepted', () => {
    const on = afterPass(100, 3);
    expect(massDeleteAfter(on, NOW + 3600 * SECOND - 1, SETTINGS)).toBe(on);
    expect(massDeleteAfter(on, NOW + 3600 * SECOND, SETTINGS)).toEqual({ accepted: 3 });
    expect(massDeleteAfterPass(on, 3, NOW + 3600 * SECOND, SETTINGS)).toEqual({ accepted: 3 });
    expect(releaseMassDelete(on)).toEqual({ accepted: 3 });
    expect(isOn(massDeleteAfterPass(releaseMassDelete(on), 3, NOW, SETTINGS))).toBe(false);
  });
});
