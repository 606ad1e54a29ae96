/** The HTTP server of a process: `/healthz`, `/readyz`, `/metrics`, and the routes of its owner. */
import { createHash, timingSafeEqual } from 'node:crypto';
import basicAuth from '@fastify/basic-auth';
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from 'fastify';
import type { Registry } from 'prom-client';
import type { Health } from './health.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Logger } from './log/log.ts';
import { withoutAddresses } from './log/without-addresses.ts';
import { LoginThrottle } from './login-throttle.ts';

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
  auth?: Login;
  /** A monotonic clock (ms) for the limit on failed logins; for tests. */
  nowMs?: () => number;
}

/** Need no login: probes have no password. */
const OPEN: ReadonlySet<string | undefined> = new Set(['/healthz', '/readyz']);

/** Creates a server that does not listen yet, so that routes can be added. The lifecycle closes it. */
export function createHttp({ lifecycle, log, health, metrics, auth, nowMs }: HttpOptions): FastifyInstance {
  // An open page must not delay the stop.
  const app = fastify({ forceCloseConnections: true });
  const throttle = new LoginThrottle(nowMs);
  if (auth !== undefined) protect(app, auth, throttle);
  app.addHook('onRequest', refuseCrossSiteWrites);
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
    const isComplete = auth !== undefined && hasLogin(request, auth, throttle);
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

interface Login {
  user: string;
  password: string;
}

/** Both are always compared, and as digests, so that the time reveals nothing. */
function isSame(given: Login, expected: Login): boolean {
  const isUser = timingSafeEqual(digest(given.user), digest(expected.user));
  const isPassword = timingSafeEqual(digest(given.password), digest(expected.password));
  return isUser && isPassword;
}

/** Whether a request that needs no login has the right one; a wrong one counts as a failed login. */
function hasLogin({ headers, ip }: FastifyRequest, expected: Login, throttle: LoginThrottle): boolean {
  const encoded = /^basic (\S+)$/i.exec(headers.authorization ?? '')?.[1];
  if (encoded === undefined || throttle.waitS(ip) > 0) return false;
  const [user = '', ...password] = Buffer.from(encoded, 'base64').toString().split(':');
  if (isSame({ user, password: password.join(':') }, expected)) return true;
  throttle.add(ip);
  return false;
}

function protect(app: FastifyInstance, auth: Login, throttle: LoginThrottle): void {
  app.register(basicAuth, {
    authenticate: { realm: 'health manager' },
    validate: async (user: string, password: string, { ip }: FastifyRequest) => {
      if (isSame({ user, password }, auth)) return;
      throttle.add(ip);
      throw Object.assign(new Error('unauthorized'), { statusCode: 401 });
    },
  });
  // By the matched route, not by the raw path, which can be written in many ways.
  app.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => {
    if (OPEN.has(request.routeOptions.url)) return done();
    // The right login must wait, too: otherwise guessing could continue without delay.
    const waitS = throttle.waitS(request.ip);
    if (waitS === 0) return app.basicAuth(request, reply, done);
    reply.header('retry-after', String(waitS));
    done(Object.assign(new Error('too many failed logins'), { statusCode: 429 }));
  });
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

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
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
