/** The HTTP server of a process: `/healthz`, `/readyz`, `/metrics`, and the routes of its owner. */
import type { Socket } from 'node:net';
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from 'fastify';
import type { Registry } from 'prom-client';
import type { Health } from '../health.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import type { Logger } from '../log/log.ts';
import { withoutAddresses } from '../log/without-addresses.ts';
import { type HttpLogins, LoginGuard } from './login-guard.ts';

export type { HttpLogins };

/** The port cannot be listened on (exit code 69). */
export class PortTakenError extends Error {
  readonly port: number;

  constructor(host: string, port: number, reason: string, options?: ErrorOptions) {
    super(`port ${port} on ${host} is not available: ${reason}`, options);
    this.name = 'PortTakenError';
    this.port = port;
  }
}

export interface HttpOptions {
  lifecycle: Lifecycle;
  log: Logger;
  health: Health;
  metrics: Registry;
  /** Basic auth on everything but `/healthz` and `/readyz`, including unknown paths. */
  auth?: HttpLogins;
  /** A monotonic clock (ms) for the limit on failed logins; for tests. */
  nowMs?: () => number;
}

/** On every answer: what a reporter shows is for this reader only, and is what its type says. */
const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;
/** A request must be complete within this time, its body included (ms): a client may not keep connections open by sending slowly. */
const REQUEST_TIMEOUT_MS = 10_000;
/** How often that is checked (ms). */
const TIMEOUT_CHECK_MS = 1_000;

/** Need no login: probes have no password. */
const OPEN: ReadonlySet<string | undefined> = new Set(['/healthz', '/readyz']);

/** Creates a server that does not listen yet, so that routes can be added. The lifecycle closes it. */
export function createHttp({ lifecycle, log, health, metrics, auth, nowMs }: HttpOptions): FastifyInstance {
  const guard = auth === undefined ? undefined : new LoginGuard({ logins: auth, log, metrics, nowMs });
  const app = fastify({
    // An open page must not delay the stop.
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: { headersTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: TIMEOUT_CHECK_MS },
    clientErrorHandler: refuseUnreadable,
    // A path that cannot be decoded has no route, and so no hooks.
    frameworkErrors: (error, request, typedReply) => {
      const reply = typedReply as FastifyReply;
      reply.headers(HEADERS).type('text/plain');
      const refuse = ({ statusCode, message }: { statusCode?: number; message: string }) =>
        void reply.code(statusCode ?? 400).send(`${message}\n`);
      if (guard === undefined) refuse(error);
      else guard.check(app, request, reply, (problem) => refuse(problem ?? error));
    },
  });
  app.decorateRequest('operator');
  app.addHook('onRequest', async (_request, reply) => void reply.headers(HEADERS));
  app.addHook('onSend', keepOutOfCaches);
  if (guard !== undefined) protect(app, guard);
  app.addHook('onRequest', refuseCrossSiteWrites);
  app.addHook('onRequest', refuseReadOnlyWrites);
  app.setNotFoundHandler(async (_request, reply) => reply.code(404).type('text/plain').send('not found\n'));
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500)
      log.error(
        { event: 'http_request_failed', err: error, path: request.routeOptions.url },
        'HTTP request failed',
      );
    // The client gets no details of an internal error; the log has them.
    return reply
      .code(status)
      .type('text/plain')
      .send(status >= 500 ? 'internal error\n' : `${error.message}\n`);
  });
  // Alive is a process whose event loop runs. systemd.ts has the same rule.
  app.get('/healthz', async (_request, reply) => reply.type('text/plain').send('ok'));
  app.get('/readyz', async (request, reply) => {
    const isComplete = guard?.hasLogin(request) === true;
    const linesOf = (parts: ReadonlyMap<string, string>, prefix = '') =>
      [...parts].map(([part, problem]) => {
        const text = `${prefix}${part}: ${problem}\n`;
        return isComplete ? text : withoutAddresses(text);
      });
    const problems = linesOf(health.problems());
    const warnings = linesOf(health.warnings(), 'warning: ').join('');
    reply.type('text/plain');
    if (problems.length > 0) return reply.code(503).send(problems.join('') + warnings);
    return reply.send(warnings === '' ? 'ok' : `ok\n${warnings}`);
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.metrics()),
  );
  return lifecycle.own('http', app, (owned) => owned.close());
}

function protect(app: FastifyInstance, guard: LoginGuard): void {
  guard.register(app);
  // By the matched route, not by the raw path, which can be written in many ways.
  app.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => {
    if (OPEN.has(request.routeOptions.url)) done();
    else guard.check(app, request, reply, done);
  });
}

/** Only files whose names contain a hash of their content, which are the same for everybody, may be cached. */
async function keepOutOfCaches(_request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (!String(reply.getHeader('cache-control')).includes('immutable'))
    reply.header('cache-control', HEADERS['cache-control']);
}

/** Answers what is no HTTP, and a request that does not end in time; both have no route and no hooks. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const status = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request';
  const headers = Object.entries({ ...HEADERS, 'content-length': '0', connection: 'close' });
  const lines = [`HTTP/1.1 ${status}`, ...headers.map(([name, value]) => `${name}: ${value}`), '', ''];
  socket.end(lines.join('\r\n'));
}

/** Methods that change nothing. */
export const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Refuses a change that another site's page requests: a browser adds its stored login to that request, too. Programs
 * send neither header, and are accepted.
 */
async function refuseCrossSiteWrites({ method, headers }: FastifyRequest): Promise<void> {
  if (SAFE_METHODS.has(method)) return;
  const site = headers['sec-fetch-site'];
  const { origin, host } = headers;
  const isSameSite =
    site !== undefined
      ? site === 'same-origin' || site === 'none'
      : origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
  if (!isSameSite) throw Object.assign(new Error('only from the same origin'), { statusCode: 403 });
}

/** Refuses a change by the read-only login. */
async function refuseReadOnlyWrites({ method, operator }: FastifyRequest): Promise<void> {
  if (SAFE_METHODS.has(method) || operator?.isReadOnly !== true) return;
  throw Object.assign(new Error('this login may change nothing'), { statusCode: 403 });
}

/**
 * Starts to listen.
 *
 * @param port 0: any free port
 * @returns the port that was bound
 * @throws PortTakenError
 */
export async function listen(app: FastifyInstance, host: string, port: number): Promise<number> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE') throw new PortTakenError(host, port, 'it is in use', { cause });
    if (code === 'EACCES') throw new PortTakenError(host, port, 'permission denied', { cause });
    if (code === 'EADDRNOTAVAIL')
      throw new PortTakenError(host, port, 'this host has no such address', { cause });
    throw cause;
  }
  const address = app.server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}
