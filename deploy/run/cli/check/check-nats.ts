import { pino } from 'pino';
import type { Settings } from '../../../../common/config/settings.ts';
import type { Bus } from '../../../../common/nats/bus.ts';
import { connectBus } from '../../../../common/nats/connect.ts';
import { Health } from '../../../../common/runtime/health.ts';
import { Lifecycle } from '../../../../common/runtime/lifecycle.ts';
import { createRegistry } from '../../../../common/runtime/metrics.ts';
import type { CheckResult } from './check-result.ts';

/** Connects to NATS. The connection stays open, for the check of the bulk API, until the lifecycle stops. */
export async function checkNats(
  settings: Settings,
  lifecycle: Lifecycle,
  answerMs: number,
): Promise<{ bus?: Bus; result: CheckResult }> {
  const connecting = new Lifecycle();
  const health = new Health();
  const timer = setTimeout(() => void connecting.stop(), answerMs);
  try {
    const bus = await connectBus({
      mbus: settings.mbus,
      name: 'hm check',
      log: pino({ level: 'silent' }),
      health,
      lifecycle: connecting,
      metrics: createRegistry('check'),
    });
    lifecycle.onStop('nats', () => connecting.stop());
    return { bus, result: { ok: `connected to ${bus.connection.getServer()}` } };
  } catch {
    // The error only reports the time-out. The reason of the wait is in `health`.
    const reason = health.problems().get('nats') ?? 'does not answer';
    const hint = settings.mbusGiven ? '' : ' (mbus is not set: "hm start" would start a private NATS)';
    return { result: { problem: `${reason}${hint}` } };
  } finally {
    clearTimeout(timer);
  }
}
