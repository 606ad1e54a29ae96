import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as thresholds from './thresholds.ts';

const { assertThresholds, ...functions } = thresholds;

describe('thresholds of droplet_lost', () => {
  it('have these values by default', () => {
    const settings = { dropletLostMs: 30_000 };
    const values = Object.entries(functions).map(([name, threshold]) => [name, threshold(settings)]);
    expect(Object.fromEntries(values)).toEqual({
      receivedTogetherMs: 1_000,
      unfinishedWaitMs: 5_000,
      heartbeatPollMs: 5_000,
      longestTickMs: 7_500,
      heartbeatPeriodMs: 10_000,
      watermarkGapMs: 10_000,
      leftOutMs: 10_000,
      renameTakesMs: 2_500,
      evaluationGapMs: 10_000,
      evaluationSettlesMs: 10_000,
      massLossEndsMs: 10_000,
      sendDeadlineMs: 10_000,
      overdueAfterMs: 15_000,
      lateAfterMs: 20_000,
      exitInForceMs: 60_000,
      heartbeatCauseMs: 60_000,
      silenceSettledMs: 60_000,
      exitKeptMs: 90_000,
      massLossCountsMs: 90_000,
      allWholeEveryMs: 15_000,
      oldRecordMs: 20_000,
      verifyEveryMs: 540_000,
      rebuiltWithinMs: 600_000,
      keyTypesEveryMs: 60_000,
      fullPassEveryMs: 300_000,
      instanceExpiryMs: 270_000,
      deaExpiryMs: 300_000,
    });
  });

  it('fit together whatever droplet_lost is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2_147_483_000 }), (dropletLostMs) => {
        expect(() => assertThresholds({ dropletLostMs })).not.toThrow();
      }),
    );
  });

  it('are refused where one is changed alone, with the relation that it breaks', () => {
    const late = () => 25_000;
    const relation = 'DEAs are late before they are lost';
    expect(() =>
      assertThresholds({ dropletLostMs: 24_000 }, [[relation, late, ({ dropletLostMs }) => dropletLostMs]]),
    ).toThrow(`${relation}: 25000 ms > 24000 ms`);
  });
});
