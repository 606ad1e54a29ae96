import { setTimeout as delay } from 'node:timers/promises';
import { connect, ErrorCode, type NatsConnection, NatsError } from 'nats';
import type { Registry } from 'prom-client';
import type { MbusSettings } from '../../config/settings.ts';
import type { Health } from '../../runtime/health.ts';
import type { Lifecycle } from '../../runtime/lifecycle/lifecycle.ts';
import type { Logger } from '../../runtime/log/log.ts';
import { busMetrics } from '../../runtime/metrics.ts';
import { logSecretProblem } from '../../runtime/secrets/rotating-secret.ts';
import type { Bus } from '../bus.ts';
import { BusError, errorText } from '../bus-errors.ts';
import { NatsBus } from '../nats-bus.ts';
import { connectionOptions } from './bus-options.ts';
import { checkClientInternals } from './client-internals.ts';
import { ReconnectOrder, retryWaitMs } from './reconnect-order.ts';

/** A second connection of a process, for some of its messages only. */
export interface DedicatedConnection {
  /** Which messages, in one word. */
  name: string;
  /** Time between two batches (ms): see `BatchedReader`. */
  readEveryMs: number;
}

export interface BusOptions {
  mbus: MbusSettings;
  /** Client name; NATS shows it in its list of connections. */
  name: string;
  log: Logger;
  health: Health;
  /** Closes the bus when the process stops, and ends the wait for a server. */
  lifecycle: Lifecycle;
  metrics: Registry;
  /** Without it, this is the main connection of the process. */
  dedicated?: DedicatedConnection | undefined;
}

/**
 * Connects. While no server is reachable it retries until one is; the first failure is logged.
 *
 * @throws BusError `disconnected` when the lifecycle stops first
 * @throws Error when the installed NATS client lacks what `client-internals.ts` uses
 */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const { health, lifecycle, mbus, dedicated } = options;
  const { clientName, healthPart, metricLabel, log } = identify(options);
  const servers = mbus.servers.join(', ');
  const metrics = busMetrics(options.metrics);
  health.set(healthPart, 'not connected yet');
  metrics.connected.set({ connection: metricLabel }, 0);

  const order = new ReconnectOrder();
  // The same for every try, so that a file that cannot be read is reported once.
  const connecting = connectionOptions(mbus, clientName, { order, onSecretProblem: logSecretProblem(log) });
  let logged = false;
  const tryOnce = async (): Promise<NatsConnection | undefined> => {
    try {
      return await connect(connecting);
    } catch (error) {
      const problem = handshakeProblem(error, mbus);
      health.set(healthPart, `${servers}: ${problem}`);
      if (!logged) log.warn({ event: 'nats_disconnected', servers, problem }, 'nats not reachable, retrying');
      logged = true;
      return undefined;
    }
  };

  while (!lifecycle.stopping) {
    const connection = await tryOnce();
    if (connection !== undefined) {
      await closeUnless(connection, () => checkClientInternals(connection));
      order.attach(connection, mbus.servers);
      const { readEveryMs } = dedicated ?? {};
      const bus = new NatsBus({ connection, log, health, healthPart, metrics, metricLabel, readEveryMs });
      log.info({ event: 'nats_connected', server: connection.getServer() }, 'nats connected');
      return lifecycle.own(healthPart, bus, (owned) => owned.close());
    }
    await delay(retryWaitMs(), undefined, { signal: lifecycle.signal }).catch(() => undefined); // Aborted: the loop ends.
  }
  throw new BusError('disconnected', 'stopped before a NATS server was reachable');
}

/** The client reports the end of a connection during the handshake as a time-out. */
function handshakeProblem(error: unknown, { tls }: MbusSettings): string {
  const text = errorText(error);
  const isTimeout = error instanceof NatsError && error.code === ErrorCode.Timeout;
  return isTimeout && tls
    ? `${text}: no complete handshake; does the server accept the client certificate (nats.tls.cert_file)?`
    : text;
}

/** Closes the connection when the check throws. */
async function closeUnless(connection: NatsConnection, check: () => void): Promise<void> {
  try {
    check();
  } catch (error) {
    await connection.close();
    throw error;
  }
}

interface Identity {
  clientName: string;
  /** In `/readyz`, and in the log when the process stops. */
  healthPart: string;
  metricLabel: string;
  log: Logger;
}

function identify({ name, log, dedicated }: BusOptions): Identity {
  if (dedicated === undefined) return { clientName: name, healthPart: 'nats', metricLabel: 'messages', log };
  return {
    clientName: `${name} ${dedicated.name}`,
    healthPart: `nats (${dedicated.name})`,
    metricLabel: dedicated.name,
    log: log.child({ connection: dedicated.name }),
  };
}
