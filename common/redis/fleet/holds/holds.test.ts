import { describe, expect, test } from 'vitest';
import { defaultSettings } from '../../../config/settings.ts';
import { NO_MASS_LOSS } from '../../../policy/fleet/mass-loss.ts';
import { holdsFrom, isUnreadable, readMassDelete, readMassLoss } from './holds.ts';

const { policy } = defaultSettings();
const NOW = 1_700_000_000_000;
const calm = {
  listening: { sinceMs: NOW - 100_000, untilMs: NOW },
  lowestWatermarkMs: NOW,
  lossPossibleUntilMs: 8,
  pass: { begunMs: NOW - 1, succeededMs: NOW },
};

describe('a hold whose stored state is invalid', () => {
  test.each([
    '',
    'no json {',
    'null',
    '[]',
    '{"lateDeas":7}',
    '{"sinceMs":"x","lateDeas":[]}',
    '{"accepted":-1}',
  ])('%j', (text) => {
    const facts = { ...calm, massLoss: text, massDelete: text === '{"lateDeas":7}' ? '7' : text };
    expect(isUnreadable('mass_loss', facts)).toBe(true);
    expect(readMassLoss(facts)).toEqual(NO_MASS_LOSS);
    if (!isUnreadable('mass_delete', facts)) return;
    expect(readMassDelete(facts, NOW)).toEqual({ sinceMs: NOW, accepted: Number.MAX_SAFE_INTEGER });
    expect(holdsFrom(facts, NOW, policy).massDelete).toBe(true);
  });

  test('does not affect a valid state', () => {
    const facts = {
      ...calm,
      massLoss: '{"sinceMs":5,"lateDeas":["a"]}',
      massLossEvaluated: { sinceMs: 6, untilMs: 7 },
      massDelete: '{"accepted":3}',
    };
    expect([isUnreadable('mass_loss', facts), isUnreadable('mass_delete', facts)]).toEqual([false, false]);
    expect(holdsFrom(facts, NOW, policy)).toEqual({
      desiredUnavailable: false,
      actualNotFresh: false,
      massLossDeas: new Set(['a']),
      massLossSinceMs: 5,
      heartbeatWatermarkMs: NOW,
      lossPossibleUntilMs: 8,
      massLossEvaluated: { sinceMs: 6, untilMs: 7 },
      massDelete: false,
      lastPassBegunMs: NOW - 1,
    });
  });
});

test('times that are no numbers count as unknown, so the holds are on', () => {
  expect(
    holdsFrom(
      { listening: { sinceMs: Number.NaN, untilMs: NOW }, pass: { begunMs: 1, succeededMs: Number.NaN } },
      NOW,
      policy,
    ),
  ).toMatchObject({ desiredUnavailable: true, actualNotFresh: true });
  expect(
    holdsFrom({ massLossEvaluated: { sinceMs: 1, untilMs: Number.NaN } }, NOW, policy),
  ).not.toHaveProperty('massLossEvaluated');
});

test.each([
  ['the lowest of all ingestors', { lowestWatermarkMs: NOW - 300 }, NOW - 300],
  ['the time of the last one, after all have signed off', {}, NOW - 200],
  ['none if none ever listened', { listening: undefined }, undefined],
  ['none if it is no number', { lowestWatermarkMs: Number.NaN }, undefined],
])('the watermark of the deployment is %s', (_, over, expected) => {
  const { lowestWatermarkMs: __, ...rest } = calm;
  const { listening, ...facts } = { ...rest, listening: { sinceMs: 1, untilMs: NOW - 200 }, ...over };
  const holds = holdsFrom({ ...facts, ...(listening && { listening }) }, NOW, policy);
  expect(holds.heartbeatWatermarkMs).toBe(expected);
});

test('an ingestor that is silent without signing off turns actual_not_fresh on, though others listen', () => {
  const silentFor = (ms: number) => holdsFrom({ ...calm, lowestWatermarkMs: NOW - ms }, NOW, policy);
  expect(silentFor(policy.dropletLostMs / 3).actualNotFresh).toBe(false);
  expect(silentFor(policy.dropletLostMs / 3 + 1).actualNotFresh).toBe(true);
});
