/** `POST /dea/heartbeat`: heartbeats over HTTPS, of DEAs with a client certificate (dialect `hm9000-http`). */
import { readFileSync } from 'node:fs';
import type { Server } from 'node:https';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { HeartbeatApiSettings } from '../../common/config/settings.ts';
import { heartbeatPeriodMs } from '../../common/policy/thresholds.ts';
import type { Clock } from '../../common/redis/clock.ts';
import { listen } from '../../common/runtime/http/http.ts';
import type { Lifecycle } from '../../common/runtime/lifecycle/lifecycle.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../../common/runtime/log/log.ts';
import { logSecretProblem, RotatingSecret } from '../../common/runtime/secrets/rotating-secret.ts';
import { PeriodicTask } from '../../common/runtime/tasks/periodic-task.ts';
import type { HeartbeatOutcome } from '../heartbeats/raw-heartbeat.ts';
import type { IngestMetrics } from '../metrics.ts';
import { Admission } from './admission.ts';

interface Options {
  settings: HeartbeatApiSettings;
  clock: Clock;
  log: Logger;
  lifecycle: Lifecycle;
  metrics: Pick<IngestMetrics, 'heartbeatRequests'>;
  dropletLostMs: number;
  /** Whether a heartbeat that is received now counts: see `StallDetector`. */
  isFresh(): boolean;
  /** Stores a heartbeat; `settle` is called once. */
  take(bytes: Uint8Array, settle: (outcome: HeartbeatOutcome) => void): void;
}

/** A heartbeat has at most 10,000 entries of about 300 bytes. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** How often the certificate files are read again (ms). */
const REREAD_MS = 60_000;
const STATUS_OF: Readonly<Record<HeartbeatOutcome, number>> = { stored: 202, invalid: 400, not_stored: 503 };
const TEXT_OF: Readonly<Record<number, string>> = {
  202: 'stored',
  400: 'expected a heartbeat: {"droplets":[...],"dea":"<guid>"}',
  401: 'expected a client certificate',
  403: 'expected a valid client certificate of the configured CA',
  503: 'not stored: send it again',
};

/**
 * The server for DEAs that send heartbeats over HTTPS. 202 is sent only when the heartbeat, or a newer one of its DEA, is stored, so a DEA
 * without it repeats the heartbeat. What is not stored in half a heartbeat period is answered with 503, and still stored later.
 */
export class HeartbeatServer {
  readonly #options: Options;
  readonly #app: FastifyInstance<Server>;
  readonly #limited: RateLimitedLog;
  readonly #admission: Admission;
  #port = 0;

  /** @throws Error when a certificate file cannot be read or used */
  constructor(options: Options) {
    const { settings, lifecycle, log, clock, dropletLostMs } = options;
    this.#options = options;
    this.#limited = createRateLimit(log);
    this.#admission = new Admission({ clock, dropletLostMs });
    const files = new RotatingSecret(() => readFiles(settings), logSecretProblem(log));
    const { cert, key, ca } = files.current();
    const patienceMs = heartbeatPeriodMs(options) / 2;
    this.#app = fastify({
      // The handshake accepts every client, so that the status can tell what is wrong with its certificate.
      https: { cert, key, ca, requestCert: true, rejectUnauthorized: false },
      bodyLimit: MAX_BODY_BYTES,
      requestTimeout: patienceMs,
      forceCloseConnections: true,
    });
    this.#addRoutes(patienceMs);
    const reread = new PeriodicTask(REREAD_MS, () => this.useCertificates(files.current()));
    lifecycle.onStop('reading of certificates', () => reread.stop());
  }

  /** How long ago a heartbeat was refused that its DEA may not have repeated yet (ms); 0 if none was. */
  backlogAgeMs(): number {
    return this.#admission.backlogAgeMs();
  }

  /** The port that is listened on. */
  get port(): number {
    return this.#port;
  }

  /** Connections from now on use these certificates. */
  useCertificates(pem: Certificates): void {
    this.#app.server.setSecureContext(pem);
  }

  /** @throws PortTakenError */
  async start(): Promise<void> {
    const { settings, log, lifecycle } = this.#options;
    this.#port = await listen(this.#app as unknown as FastifyInstance, settings.host, settings.port);
    log.info({ event: 'heartbeat_api_listening', port: this.#port }, 'listening for heartbeats over HTTPS');
    // Requests in hand get their answer first. New ones are refused, and their DEAs turn to another copy.
    lifecycle.onStop('heartbeats over HTTPS', async () => {
      this.#admission.end();
      await this.#admission.idle();
      await this.#app.close();
    });
  }

  #addRoutes(patienceMs: number): void {
    const app = this.#app;
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    app.addHook('onRequest', async (request, reply) => this.#refuse(request, reply));
    app.addHook('onResponse', async (request, reply) => {
      this.#admission.leave(request);
      this.#options.metrics.heartbeatRequests.inc({ status: String(reply.statusCode) });
    });
    app.addHook('onRequestAbort', async (request) => this.#admission.leave(request));
    app.setNotFoundHandler(async (_request, reply) => reply.code(404).type('text/plain').send('not found\n'));
    app.post('/dea/heartbeat', async ({ body }, reply) =>
      answer(reply, STATUS_OF[await this.#store(body, patienceMs)]),
    );
  }

  /** Before the body is read. */
  async #refuse(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const socket = request.raw.socket as TLSSocket;
    const status = !socket.authorized
      ? hasCertificate(socket)
        ? 403
        : 401
      : this.#admission.enter(request)
        ? undefined
        : 503;
    if (status === undefined) return undefined;
    const problem =
      status === 503 ? 'too many heartbeats at once' : String(socket.authorizationError ?? 'none');
    this.#limited.warn(
      `${status} ${problem}`,
      { event: 'heartbeat_request_refused', status, problem, address: request.ip },
      'heartbeat over HTTPS refused',
    );
    // Otherwise the server would read the body all the same.
    return answer(reply.header('connection', 'close'), status);
  }

  async #store(body: unknown, patienceMs: number): Promise<HeartbeatOutcome> {
    if (!(body instanceof Uint8Array)) return 'invalid';
    if (!this.#options.isFresh()) return 'not_stored';
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve('not_stored'), patienceMs);
      this.#options.take(body, (outcome) => {
        clearTimeout(late);
        resolve(outcome);
      });
    });
  }
}

/** PEM texts. */
export interface Certificates {
  cert: string;
  key: string;
  ca: string;
}

/** @throws Error naming the files when one cannot be read, or the key is not that of the certificate */
export function readFiles({ certFile, keyFile, caFile }: HeartbeatApiSettings): Certificates {
  const [cert, key, ca] = [certFile, keyFile, caFile].map((file) => readFileSync(file, 'utf8')) as [
    string,
    string,
    string,
  ];
  try {
    createSecureContext({ cert, key, ca });
  } catch (cause) {
    throw new Error(`${certFile}, ${keyFile}, ${caFile}: ${(cause as Error).message}`, { cause });
  }
  return { cert, key, ca };
}

function hasCertificate(socket: TLSSocket): boolean {
  return Object.keys(socket.getPeerCertificate()).length > 0;
}

function answer(reply: FastifyReply, status: number): FastifyReply {
  return reply.code(status).type('text/plain').send(`${TEXT_OF[status]}\n`);
}
