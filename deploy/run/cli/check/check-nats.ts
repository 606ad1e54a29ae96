import { pino } from 'pino';
import type { MbusSettings, Settings } from '../../../../common/config/settings.ts';
import type { Bus } from '../../../../common/nats/bus.ts';
import { connectBus } from '../../../../common/nats/connection/connect.ts';
import { Health } from '../../../../common/runtime/health.ts';
import { Lifecycle } from '../../../../common/runtime/lifecycle/lifecycle.ts';
import { createRegistry } from '../../../../common/runtime/metrics.ts';
import type { CheckResult } from './check-result.ts';

/** The client's own time-out of the handshake is as long as that of a check, and its error says more (ms). */
const AFTER_HANDSHAKE_MS = 1_000;

interface Checked {
  bus?: Bus;
  result: CheckResult;
}

interface Options {
  settings: Settings;
  /** Closes the connection, which stays open for the check of the bulk API. */
  lifecycle: Lifecycle;
  answerMs: number;
  /** The private NATS of an `hm start` that runs beside the configuration file. */
  privateUrl: string | undefined;
}

/**
 * Connects to NATS. Without `mbus`, `hm start` starts a private NATS; only single processes, which need a Redis, would use
 * port 4222.
 */
export async function checkNats(options: Options): Promise<Checked> {
  const { settings, privateUrl } = options;
  if (settings.mbusGiven) return connectTo(settings.mbus, options);
  if (privateUrl !== undefined)
    return connectTo({ servers: [privateUrl.replace('nats://', '')], tls: false }, options);
  if (settings.redis === undefined)
    return { result: { skipped: 'none configured: "hm start" starts a private one' } };
  const checked = await connectTo(settings.mbus, options);
  if (!('problem' in checked.result)) return checked;
  return {
    result: {
      skipped: `mbus is not set: "hm start" starts a private NATS; single processes need one (${checked.result.problem})`,
    },
  };
}

async function connectTo(mbus: MbusSettings, { lifecycle, answerMs }: Options): Promise<Checked> {
  const connecting = new Lifecycle();
  const health = new Health();
  const timer = setTimeout(() => void connecting.stop(), answerMs + AFTER_HANDSHAKE_MS);
  try {
    const bus = await connectBus({
      mbus,
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
    return { result: { problem: health.problems().get('nats') ?? 'does not answer' } };
  } finally {
    clearTimeout(timer);
  }
}
