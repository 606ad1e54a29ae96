/** Serves the documentation as one page, and the specifications of the HTTP and NATS interfaces, from `dist/`. */
import { hash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { packageRoot } from '../../common/runtime/package-root.ts';

/** Written by `deploy/build-docs.ts`. */
const FOLDER = join(packageRoot, 'dist', 'reporter', 'docs');

const FILES: Readonly<Record<string, string>> = {
  '/docs': 'docs.html',
  '/openapi.json': 'openapi.json',
  '/asyncapi.json': 'asyncapi.json',
};

/** After `addPages`, whose plug-in sends the files. */
export function addDocs(app: FastifyInstance): void {
  const isBuilt = existsSync(FOLDER);
  const headers = isBuilt ? headersOf(readFileSync(join(FOLDER, 'docs.html'), 'utf8')) : {};
  for (const [path, file] of Object.entries(FILES)) {
    app.get(path, (_request, reply: FastifyReply) => {
      if (isBuilt) return reply.headers(headers).sendFile(file, FOLDER, { cacheControl: false });
      const problem = `${FOLDER}: expected the documentation, found nothing; build it with npm run setup`;
      return reply.code(503).send({ error: problem });
    });
  }
}

/** Only the page's own style, which is known by its hash; no script, picture or framing. */
function headersOf(page: string): Record<string, string> {
  const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(page) ?? [];
  const policy = [
    "default-src 'none'",
    `style-src 'sha256-${hash('sha256', style, 'base64')}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    'content-security-policy': policy.join('; '),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  };
}
