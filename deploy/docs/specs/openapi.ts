/** openapi.yml: the HTTP interfaces as OpenAPI 3.1. */
import type { TSchema } from 'typebox';
import { WebhookBodySchema } from '../../../common/queues/webhook-queue.ts';
import { packageVersion } from '../../../common/runtime/package-version.ts';
import { PATHS, type PathOperation } from './paths.ts';
import { ERROR } from './replies/acts.ts';
import { plainSchema, toYaml } from './yaml.ts';

const SERVERS = {
  reporter: [
    { url: 'http://127.0.0.1:54321', description: 'the reporter, at `status.host` and `status.port`' },
  ],
  ingest: [{ url: 'https://127.0.0.1:5335', description: 'ingest, at `heartbeat_api.host` and `.port`' }],
  controller: [{ url: 'http://api.vcap.me', description: 'the controller, at `cc_internal_url`' }],
  bulk: [{ url: 'http://api.vcap.me', description: 'the controller, at `bulk_api.host`' }],
};

const WEBHOOK = {
  summary: 'A hold begins or ends, a slot is given up or unplaced, or no copy of a kind of process works',
  security: [],
  requestBody: { required: true, content: content('application/json', WebhookBodySchema) },
  responses: {
    '2XX': { description: 'accepted' },
    '5XX': { description: 'sent again later, as with 408, 425 and 429' },
  },
};

/** The document, plain data. */
export function openApi(): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of PATHS) {
    const { path, method, of } = operation;
    paths[path] = { servers: SERVERS[of], ...paths[path], [method]: operationObject(operation) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Health manager',
      version: packageVersion(),
      description:
        "The reporter's HTTP API, heartbeats over HTTPS (tag `ingest`), and what the health manager asks of the controller: the bulk API (tag `bulk`), starts and stops (tag `controller`). Webhooks are what it sends to receivers in the setting `webhooks`.",
      license: { name: 'Apache 2.0', identifier: 'Apache-2.0' },
    },
    servers: SERVERS.reporter,
    security: [{ basic: [] }],
    tags: [
      { name: 'reporter', description: 'served by the health manager' },
      { name: 'ingest', description: 'served by the health manager to agents' },
      { name: 'bulk', description: 'served by the controller' },
      { name: 'controller', description: 'served by the controller, with the login `internal_api`' },
    ],
    paths,
    webhooks: { event: { post: WEBHOOK } },
    components: {
      securitySchemes: {
        basic: { type: 'http', scheme: 'basic' },
        certificate: { type: 'mutualTLS', description: 'of the CA in `heartbeat_api.ca_file`' },
      },
    },
  };
}

/** As a file. */
export function openApiYaml(): string {
  return toYaml(openApi());
}

function operationObject(operation: PathOperation): object {
  const { of, summary, body, isOpen } = operation;
  const parameters = parametersOf(operation);
  return {
    tags: [of],
    summary,
    ...(isOpen && { security: [] }),
    ...(of === 'ingest' && { security: [{ certificate: [] }] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: { required: true, content: content('application/json', body) },
    }),
    responses: responsesOf(operation),
  };
}

function parametersOf({ path, parameters = {}, optional = {} }: PathOperation): object[] {
  const schema = { type: 'string' };
  return [
    ...Object.entries(parameters).map(([name, description]) => {
      const place = path.includes(`{${name}}`) ? 'path' : 'query';
      return { name, in: place, required: true, description, schema };
    }),
    ...Object.entries(optional).map(([name, description]) => ({ name, in: 'query', description, schema })),
  ];
}

function responsesOf({ of, replies, reply, type = 'application/json' }: PathOperation): object {
  const isJson = type === 'application/json';
  const success = Math.min(...Object.keys(replies).map(Number));
  return Object.fromEntries(
    Object.entries(replies).map(([status, description]) => [
      status,
      {
        description,
        ...(Number(status) === success && { content: content(type, reply) }),
        ...(of === 'reporter' &&
          isJson &&
          Number(status) >= 400 && { content: errorContent(Number(status)) }),
      },
    ]),
  );
}

/** Statuses that come from the server before a route runs, as plain text. */
const BEFORE_ROUTES: ReadonlySet<number> = new Set([401, 403, 429]);

/** A body that is no JSON is refused as plain text, too. */
function errorContent(status: number): object {
  if (BEFORE_ROUTES.has(status)) return content('text/plain', undefined);
  const json = content('application/json', ERROR);
  return status === 400 ? { ...json, ...content('text/plain', undefined) } : json;
}

function content(type: string, schema: TSchema | undefined): object {
  return { [type]: schema === undefined ? {} : { schema: plainSchema(schema) } };
}
