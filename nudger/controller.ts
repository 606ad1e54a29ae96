import { Pool } from 'undici';
import { oneLine } from '../common/messages/validation.ts';
import type { Bus } from '../common/nats/bus.ts';
import { basicAuthorization } from '../common/runtime/http/basic-auth.ts';
import type { Outgoing } from './dialect.ts';

/** The controller, as starts and stops reach it. */
export interface Controller {
  /**
   * Sends a start or stop.
   *
   * @returns why the controller refuses it; undefined if it was accepted or, over NATS, received by the server
   * @throws Error if it may or may not have arrived
   */
  send(message: Outgoing, headers: Record<string, string>): Promise<string | undefined>;
}

/** Over NATS nobody replies. @param withinMs time until NATS has it; then the connection is abandoned together with the message */
export function natsController(bus: Bus, withinMs: number): Controller {
  return {
    async send({ to, payload }, headers) {
      bus.publish(to, payload, headers);
      await flushWithin(bus, withinMs);
      return undefined;
    },
  };
}

/** Resolves when NATS has received what was published. @throws BusError when the connection is lost or the time is over */
async function flushWithin(bus: Bus, withinMs: number): Promise<void> {
  // Not withTimeout: a promise more for every start would cost a tenth of this process's CPU.
  const late = setTimeout(() => bus.abandon(), withinMs);
  try {
    await bus.flush();
  } finally {
    clearTimeout(late);
  }
}

export interface InternalApi {
  /** `cc_internal_url` */
  url: string;
  user: string;
  password: string;
}

/** As many as deliveries at once; the controller works on each for a few milliseconds. */
const CONNECTIONS = 16;
/** Of a refusal's text, which is shown in one line. */
const MAX_REASON_LENGTH = 200;
/** Of a refusal's body; the rest is cut off with its connection. */
const MAX_REASON_BYTES = 16_384;

/**
 * Over HTTP (dialect `hm9000-http`). Only 200 is accepted.
 *
 * @param withinMs from the request to the end of the reply
 * @returns also closes the connections
 */
export function httpController(api: InternalApi, withinMs: number): Controller & { close(): Promise<void> } {
  const { origin, pathname } = new URL(api.url);
  const prefix = pathname.replace(/\/+$/, '');
  const authorization = basicAuthorization(api);
  const pool = new Pool(origin, { connections: CONNECTIONS });
  return {
    async send({ to, payload }, headers) {
      const { statusCode, body } = await pool.request({
        method: 'POST',
        path: prefix + to,
        headers: { ...headers, authorization, 'content-type': 'application/json' },
        body: payload,
        signal: AbortSignal.timeout(withinMs),
      });
      if (statusCode === 200) {
        await body.dump();
        return undefined;
      }
      return refusalText(statusCode, body);
    },
    close: () => pool.destroy(),
  };
}

async function refusalText(status: number, body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > MAX_REASON_BYTES) break;
  }
  const text = oneLine(Buffer.concat(chunks).toString(), MAX_REASON_LENGTH);
  return text === '' ? `status ${status}` : `status ${status}: ${text}`;
}
