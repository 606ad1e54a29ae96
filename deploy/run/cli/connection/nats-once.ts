import { pino } from 'pino';
import type { MbusSettings } from '../../../../common/config/settings.ts';
import type { Bus } from '../../../../common/nats/bus.ts';
import { connectBus } from '../../../../common/nats/connection/connect.ts';
import { Health } from '../../../../common/runtime/health.ts';
import { Lifecycle } from '../../../../common/runtime/lifecycle/lifecycle.ts';
import { createRegistry } from '../../../../common/runtime/metrics.ts';

/** The client's own time-out of the handshake is as long as that of a command, and its error says more (ms). */
const AFTER_HANDSHAKE_MS = 1_000;

interface Options {
  /** Client name; NATS shows it in its list of connections. */
  name: string;
  /** How long to wait for the server. */
  answerMs: number;
  /** Closes the connection when it stops. */
  lifecycle: Lifecycle;
}

/** Connects for a command, which does not wait for a server that is away. @returns the connection, or why there is none */
export async function connectNatsOnce(
  mbus: MbusSettings,
  { name, answerMs, lifecycle }: Options,
): Promise<{ bus: Bus; health: Health } | { problem: string }> {
  const connecting = new Lifecycle();
  const health = new Health();
  const timer = setTimeout(() => void connecting.stop(), answerMs + AFTER_HANDSHAKE_MS);
  try {
    const bus = await connectBus({
      ...{ mbus, name, health, lifecycle: connecting },
      log: pino({ level: 'silent' }),
      metrics: createRegistry(name),
    });
    lifecycle.onStop('nats', () => connecting.stop());
    return { bus, health };
  } catch {
    // The error only reports the time-out. The reason of the wait is in `health`.
    return { problem: health.problems().get('nats') ?? 'does not answer' };
  } finally {
    clearTimeout(timer);
  }
}
