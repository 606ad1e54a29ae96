import { randomBytes, timingSafeEqual } from 'node:crypto';
import basicAuth from '@fastify/basic-auth';
import fastify from 'fastify';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { parseJson } from '../json.ts';
import type { App } from './apps.ts';

/** An app with its place in the bulk API. */
export interface Listed {
  app: App;
  /** The order of the pages: never reused, never changed. */
  id: number;
  updatedAt: Date;
}

export interface Credentials {
  user: string;
  password: string;
}

export interface BulkApi {
  port: number;
  close(): Promise<void>;
}

interface Options {
  credentials: Credentials;
  /** All apps, in any order. Called for every page. */
  apps(): Iterable<Listed>;
  /** Default: any free port. */
  port?: number;
}

const USERS = 3;
const DEFAULT_BATCH_SIZE = 500;
const MAX_BATCH_SIZE = 10_000;

const bulkToken = Compile(Type.Object({ id: Type.Optional(Type.Integer({ minimum: 0 })) }));

export function newCredentials(): Credentials {
  return { user: 'bulk_api', password: randomBytes(12).toString('hex') };
}

/**
 * Serves the bulk API on the loopback (contract: bulk API).
 *
 * @throws Error when the port is not available
 */
export async function serveBulkApi({ credentials, apps, port = 0 }: Options): Promise<BulkApi> {
  const server = fastify();
  await server.register(basicAuth, {
    authenticate: { realm: 'bulk api' },
    validate: (user, password, _request, _reply, done) => {
      const right = same(user, credentials.user) && same(password, credentials.password);
      done(right ? undefined : new Error('Unauthorized'));
    },
  });
  server.addHook('onRequest', server.basicAuth);

  server.get<{ Querystring: Record<string, string> }>('/bulk/apps', async (request, reply) => {
    const after = parseToken(request.query.bulk_token ?? '{}');
    const size =
      request.query.batch_size === undefined ? DEFAULT_BATCH_SIZE : Number(request.query.batch_size);
    if (after === undefined) return reply.code(400).send({ error: 'invalid bulk_token' });
    if (!Number.isInteger(size) || size < 1) return reply.code(400).send({ error: 'invalid batch_size' });
    return page(apps(), after, Math.min(size, MAX_BATCH_SIZE));
  });
  server.get<{ Querystring: Record<string, string> }>('/bulk/counts', async (request, reply) => {
    if (request.query.model !== 'user') return reply.code(400).send({ error: 'unknown model' });
    return { counts: { user: USERS } };
  });

  await server.listen({ host: '127.0.0.1', port });
  const address = server.server.address();
  if (address === null || typeof address === 'string') throw new Error('bulk API: no port');
  return { port: address.port, close: () => server.close() };
}

/** The page after the app with id `after`. The last page is empty and returns the token of its request. */
export function page(apps: Iterable<Listed>, after: number, size: number) {
  const rest = [...apps].filter((listed) => listed.id > after).sort((a, b) => a.id - b.id);
  const chosen = rest.slice(0, size);
  return {
    results: Object.fromEntries(chosen.map((listed) => [listed.app.name, entry(listed)])),
    bulk_token: { id: chosen.at(-1)?.id ?? after },
  };
}

function entry({ app, updatedAt }: Listed) {
  return {
    id: app.name,
    instances: app.instances,
    state: app.state,
    memory: app.memoryMb,
    package_state: 'STAGED',
    updated_at: updatedAt.toISOString().replace(/\.\d+Z$/, '+00:00'),
    version: app.version,
  };
}

function parseToken(text: string): number | undefined {
  const token = parseJson(text);
  return bulkToken.Check(token) ? (token.id ?? 0) : undefined;
}

function same(given: string, right: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}
