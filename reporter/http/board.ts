/** Bull Board at `/queues`: the waiting, active and delayed jobs. */
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import type { Queue } from 'bullmq';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { QueueName } from '../../common/queues/queues.ts';
import type { Health } from '../../common/runtime/health.ts';
import { SAFE_METHODS } from '../../common/runtime/http/http.ts';
import type { Logger } from '../../common/runtime/log/log.ts';

export const BOARD_PATH = '/queues';

/** Name and description of each queue, in the order of the page. */
const QUEUES: readonly { name: QueueName; displayName: string; description: string }[] = [
  {
    name: 'starts',
    displayName: 'Starts',
    description: 'Instances to start, most urgent first, within the limit on starts',
  },
  {
    name: 'restarts',
    displayName: 'Flapping restarts',
    description: 'Restarts of flapping slots, each delayed until it is due',
  },
  { name: 'stops', displayName: 'Stops', description: 'Instances to stop' },
  {
    name: 'slices',
    displayName: 'Slices',
    description: 'Slices whose droplets are to be reconciled: those that are due, or all of them (audit)',
  },
  { name: 'sync', displayName: 'Bulk sync', description: "Passes over the controller's bulk API" },
  { name: 'cron', displayName: 'Cron', description: "The analyzers' tick" },
];

/** Only files of this server, but inline styles too: Bull Board sets style attributes. */
const CONTENT_SECURITY = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "object-src 'none'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Jobs of one page: all of them are read and sent at once. */
const MAX_JOBS_PER_PAGE = 100;

/** The query parameters of Bull Board's own pages. Bull Board builds Redis keys from them, so all others are refused. */
const Query = Compile(
  Type.Object({
    activeQueue: Type.Optional(Type.String({ maxLength: 64, pattern: '^[a-z]*$' })),
    status: Type.Optional(
      Type.Enum([
        'latest',
        'active',
        'waiting',
        'waiting-children',
        'prioritized',
        'completed',
        'failed',
        'delayed',
        'paused',
      ]),
    ),
    page: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,5}$' })),
    jobsPerPage: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,2}$' })),
  }),
);

interface Options {
  app: FastifyInstance;
  log: Logger;
  health: Health;
  queues: Readonly<Record<QueueName, Queue>>;
  /** Whether jobs and queues may be changed (`status.queues_writable`). */
  writable: boolean;
}

class RefusedError extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    super(message);
    this.name = 'RefusedError';
    this.statusCode = statusCode;
  }
}

/** Adds Bull Board under `BOARD_PATH`. The server's login and its check of the origin apply to it. */
export function addBoard({ app, log, health, queues, writable }: Options): void {
  const serverAdapter = new FastifyAdapter().setBasePath(BOARD_PATH);
  createBullBoard({
    queues: QUEUES.map(
      ({ name, displayName, description }) =>
        new BullMQAdapter(queues[name], {
          ...{ displayName, description, readOnlyMode: !writable },
          externalJobUrl: appLink,
        }),
    ),
    serverAdapter,
    options: {
      uiConfig: {
        boardTitle: 'Health manager: queues',
        // As on the dashboard: 24 hours, in the time zone of the browser.
        dateFormats: { short: 'HH:mm:ss', common: 'yyyy-MM-dd HH:mm:ss', full: 'yyyy-MM-dd HH:mm:ss.SSS' },
        miscLinks: [{ text: 'Dashboard of the health manager', url: '/' }],
      },
    },
  });
  // Bull Board's own handler would send internal error messages, and would answer 500 where a login is needed.
  serverAdapter.setErrorHandler((error) => errorReply(error, log));
  app.register(async (scope) => {
    scope.addHook('preHandler', async (request, reply) => {
      check(request, health, writable);
      const job = FLOW_PATH.exec(request.url)?.[1];
      if (job !== undefined) return reply.send(withoutFlow(job));
      return undefined;
    });
    scope.addHook('onSend', async (_request, reply, payload) => {
      reply.header('content-security-policy', CONTENT_SECURITY);
      reply.header('x-content-type-options', 'nosniff');
      return typeof payload === 'string' ? withoutForeignLinks(payload) : payload;
    });
    await scope.register(serverAdapter.registerPlugin(), { prefix: BOARD_PATH });
  });
}

/** @throws RefusedError */
function check({ method, url, query }: FastifyRequest, health: Health, writable: boolean): void {
  if (!writable && !SAFE_METHODS.has(method)) {
    throw new RefusedError(403, 'the queues are read-only; set status.queues_writable to change them');
  }
  if (!url.startsWith(`${BOARD_PATH}/api/`)) return;
  const problem = health.problems().get('redis');
  if (problem !== undefined) throw new RefusedError(503, `Redis does not answer: ${problem}`);
  if (!Query.Check(query)) {
    const problem = Query.Errors(query)[0];
    throw new RefusedError(400, `query${problem?.instancePath ?? ''} ${problem?.message ?? 'is not valid'}`);
  }
  if (Number(query.jobsPerPage ?? 0) > MAX_JOBS_PER_PAGE)
    throw new RefusedError(400, `query/jobsPerPage must be at most ${MAX_JOBS_PER_PAGE}`);
}

function errorReply(error: Error & { statusCode?: number }, log: Logger) {
  const { statusCode = 500, message } = error;
  if (statusCode < 500 || error instanceof RefusedError)
    return { status: statusCode as 400, body: { error: message } };
  // The job id is the name of one of the queue's own keys.
  if (message.startsWith('WRONGTYPE')) return { status: 404 as const, body: { error: 'not found' } };
  log.error({ event: 'queue_board_failed', err: error }, 'request to the queue pages failed');
  return { status: 500 as const, body: { error: 'internal error' } };
}

/** Asked by the page of each job: the tree of jobs that it belongs to. */
const FLOW_PATH = new RegExp(`^${BOARD_PATH}/api/queues/[a-z]+/([^/?]+)/flow(?:\\?|$)`);

/** No job of the health manager has a parent or children. Bull Board would look for them with a producer that needs more than reads. */
function withoutFlow(job: string): object {
  let nodeId = job;
  try {
    nodeId = decodeURIComponent(job);
  } catch {
    // Shown as it came.
  }
  return { nodeId, flowRoot: null, isFlowNode: false };
}

/** The page of the job's app on the dashboard. */
function appLink({ data }: { data?: unknown }): { displayText: string; href: string } {
  const droplet = typeof data === 'object' && data !== null && 'droplet' in data ? data.droplet : undefined;
  return typeof droplet === 'string'
    ? { displayText: `app ${droplet}`, href: `/#/droplet/${encodeURIComponent(droplet)}` }
    : { displayText: 'dashboard', href: '/' };
}

/** The page loads a font from another host, which would see each visit; without it the system's font is used. */
function withoutForeignLinks(html: string): string {
  return html.replace(/<link[^>]*href="https?:[^>]*>/g, '');
}
