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
import type { Logger } from './log.ts';
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
  auth?: { user: string; password: string };
  /** A monotonic clock (ms) for the limit on failed logins; for tests. */
  nowMs?: () => number;
}

/** Need no login: probes have no password. */
const OPEN: ReadonlySet<string | undefined> = new Set(['/healthz', '/readyz']);

/** Creates a server that does not listen yet, so that routes can be added. The lifecycle closes it. */
export function createHttp({ lifecycle, log, health, metrics, auth, nowMs }: HttpOptions): FastifyInstance {
  // An open page must not delay the stop.
  const app = fastify({ forceCloseConnections: true });
  if (auth !== undefined) protect(app, auth, new LoginThrottle(nowMs));
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
  app.get('/healthz', async (_request, reply) => reply.type('text/plain').send('ok'));
  app.get('/readyz', async (_request, reply) => {
    const problems = [...health.problems()].map(([part, problem]) => `${part}: ${problem}`);
    reply.type('text/plain');
    return problems.length === 0 ? reply.send('ok') : reply.code(503).send(`${problems.join('\n')}\n`);
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.metrics()),
  );
  return lifecycle.own('http', app, (owned) => owned.close());
}

function protect(
  app: FastifyInstance,
  auth: { user: string; password: string },
  throttle: LoginThrottle,
): void {
  const user = digest(auth.user);
  const password = digest(auth.password);
  app.register(basicAuth, {
    authenticate: { realm: 'health manager' },
    validate: async (givenUser: string, givenPassword: string, { ip }: FastifyRequest) => {
      // Both are always compared, and as digests, so that the time reveals nothing.
      const rightUser = timingSafeEqual(digest(givenUser), user);
      const rightPassword = timingSafeEqual(digest(givenPassword), password);
      if (rightUser && rightPassword) return;
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
