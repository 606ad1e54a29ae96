/** Serves the dashboard's page and its files from `dist/`. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { packageRoot } from '../../common/runtime/package-root.ts';

/** Written by `deploy/build-dashboard.ts`. */
const FOLDER = join(packageRoot, 'dist', 'reporter', 'dashboard', 'public');

/** Only the page's own files, no inline scripts or styles, no framing. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

export function addPages(app: FastifyInstance): void {
  if (!existsSync(FOLDER)) {
    app.get('/', (_request, reply) =>
      reply
        .code(503)
        .type('text/plain')
        .send(`${FOLDER}: expected the dashboard's files, found none; build them with npm run setup\n`),
    );
    return;
  }
  app.register(fastifyStatic, {
    root: join(FOLDER, 'assets'),
    prefix: '/assets/',
    index: false,
    preCompressed: true,
    // The names contain a hash of the content.
    immutable: true,
    maxAge: '365d',
    setHeaders: (reply) => {
      for (const [name, value] of Object.entries(HEADERS)) reply.setHeader(name, value);
    },
  });
  app.get('/', (_request, reply: FastifyReply) =>
    reply.headers(HEADERS).sendFile('index.html', FOLDER, { cacheControl: false }),
  );
}
