/** Basic auth of an HTTP server: who is logged in, and what becomes of failed logins. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import basicAuth from '@fastify/basic-auth';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Registry } from 'prom-client';
import { createRateLimit, type Logger, type RateLimitedLog } from '../log/log.ts';
import { failedLogins } from '../metrics.ts';
import { LoginThrottle } from './login-throttle.ts';

interface Login {
  user: string;
  password: string;
}

/** The logins of a server. */
export interface HttpLogins extends Login {
  /** May read everything and change nothing. */
  readonly?: Login;
  /** Header with the name of the person, which an authenticating proxy sets; lower case. */
  userHeader?: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is logged in; undefined before the login was checked. */
    operator?: { name: string; isReadOnly: boolean };
  }
}

/** Longest name of a person that is logged (characters). */
const MAX_NAME_LENGTH = 100;

interface Options {
  logins: HttpLogins;
  log: Logger;
  metrics: Registry;
  /** A monotonic clock (ms); for tests. */
  nowMs?: (() => number) | undefined;
}

export class LoginGuard {
  readonly #logins: HttpLogins;
  readonly #limited: RateLimitedLog;
  readonly #failed: ReturnType<typeof failedLogins>;
  readonly #throttle: LoginThrottle;
  /** So that what is kept of a login is of no use elsewhere. */
  readonly #secret = randomBytes(32);

  constructor({ logins, log, metrics, nowMs }: Options) {
    this.#logins = logins;
    this.#limited = createRateLimit(log);
    this.#failed = failedLogins(metrics);
    this.#throttle = new LoginThrottle(nowMs);
  }

  /** Adds the plugin that `check` needs. */
  register(app: FastifyInstance): void {
    app.register(basicAuth, {
      authenticate: { realm: 'health manager' },
      validate: async (user: string, password: string, request: FastifyRequest) => {
        if (!this.#isRight(request, { user, password }))
          throw Object.assign(new Error('unauthorized'), { statusCode: 401 });
      },
    });
  }

  /** Calls back with an error, status 401 or 429, unless the request has the right login. */
  check(
    app: FastifyInstance,
    request: FastifyRequest,
    reply: FastifyReply,
    done: (error?: Error) => void,
  ): void {
    // The right login must wait, too: otherwise guessing could continue without delay.
    const waitS = this.#throttle.waitS(request.ip, this.#clientOf(request));
    if (waitS === 0) {
      app.basicAuth(request, reply, done);
      return;
    }
    this.#failed.inc({ reason: 'throttled' });
    reply.header('retry-after', String(waitS));
    done(Object.assign(new Error('too many failed logins'), { statusCode: 429 }));
  }

  /** Whether a request that needs no login has the right one. */
  hasLogin(request: FastifyRequest): boolean {
    const encoded = /^basic (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (encoded === undefined || this.#throttle.waitS(request.ip, this.#clientOf(request)) > 0) return false;
    const [user = '', ...password] = Buffer.from(encoded, 'base64').toString().split(':');
    return this.#isRight(request, { user, password: password.join(':') });
  }

  #isRight(request: FastifyRequest, given: Login): boolean {
    const who = whoIs(given, this.#logins);
    if (who === undefined) {
      this.#throttle.addFailure(request.ip);
      this.#failed.inc({ reason: 'wrong' });
      // Without the user: people also mistype a password there.
      this.#limited.warn('login', { event: 'login_failed', address: request.ip }, 'login failed');
      return false;
    }
    this.#throttle.addSuccess(request.ip, this.#clientOf(request));
    request.operator = {
      name: nameOf(request, given.user, this.#logins.userHeader),
      isReadOnly: who === 'readonly',
    };
    return true;
  }

  #clientOf({ headers }: FastifyRequest): string {
    const sent = JSON.stringify([headers.authorization, headers['user-agent']]);
    return createHmac('sha256', this.#secret).update(sent).digest('base64');
  }
}

/** Both are always compared, and as digests, so that the time reveals nothing. */
function isSame(given: Login, expected: Login): boolean {
  const isUser = timingSafeEqual(digest(given.user), digest(expected.user));
  const isPassword = timingSafeEqual(digest(given.password), digest(expected.password));
  return isUser && isPassword;
}

/** Whose login this is; undefined: nobody's. Both are always compared. */
function whoIs(given: Login, { readonly, ...full }: HttpLogins): 'full' | 'readonly' | undefined {
  const isFull = isSame(given, full);
  const isReadonly = readonly !== undefined && isSame(given, readonly);
  return isFull ? 'full' : isReadonly ? 'readonly' : undefined;
}

/** The name that the proxy gives, without control characters; else the login. */
function nameOf({ headers }: FastifyRequest, user: string, header: string | undefined): string {
  const given = header === undefined ? undefined : headers[header];
  const name = (Array.isArray(given) ? given[0] : given)?.replace(/\p{Cc}/gu, '').trim();
  return name ? name.slice(0, MAX_NAME_LENGTH) : user;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
