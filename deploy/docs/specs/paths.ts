/** Every HTTP path: of the reporter, and of the controller's bulk API that the sync reads. The one source of openapi.yml. */
import type { TSchema } from 'typebox';
import Type from 'typebox';
import { PAUSE_BODY, RETRY_BODY } from '../../../common/messages/acts.ts';
import * as wire from '../../../common/messages/schemas.ts';
import { APP_STATES_REPLY, HM9000_START, HM9000_STOP } from './published.ts';
import * as act from './replies/acts.ts';
import { DROPLET_REPLY } from './replies/droplet.ts';
import { FLEET_REPLY, VARZ_REPLY } from './replies/figures.ts';
import { LIVE_EVENTS } from './replies/live.ts';
import * as page from './replies/pages.ts';

export interface PathOperation {
  path: string;
  method: 'get' | 'post';
  /** `bulk` and `controller`: the controller serves it; `reporter` and `ingest`: this program does. */
  of: 'reporter' | 'bulk' | 'ingest' | 'controller';
  summary: string;
  body?: TSchema;
  /** Parameters of the path and of the query, with what they are. */
  parameters?: Readonly<Record<string, string>>;
  /** Of the query; each may be left out. */
  optional?: Readonly<Record<string, string>>;
  /** What each status means. */
  replies: Readonly<Record<number, string>>;
  /** The body of the first reply, if it is JSON of a fixed form. */
  reply?: TSchema;
  /** The type of the first reply's body; JSON unless given. */
  type?: string;
  /** It needs no login. */
  isOpen?: true;
}

const Json = Type.Object({});
const WITHOUT_REDIS = { 503: 'Redis does not answer' };
const NO_LOGIN = {
  401: 'the login is missing or wrong',
  429: 'too many failed logins; `retry-after` says how long to wait',
};
const READ = { 200: 'found', ...NO_LOGIN, ...WITHOUT_REDIS };
const WRITE = { ...NO_LOGIN, 403: 'a read-only login, or a page of another site', ...WITHOUT_REDIS };
const UNKNOWN = { 404: 'not found' };
const GUID = { guid: 'a guid' };
const OBEYED = { 200: 'accepted', 400: 'refused; the body says why, as any other status' };

export const PATHS: readonly PathOperation[] = [
  {
    ...{ path: '/healthz', method: 'get', of: 'reporter', isOpen: true, type: 'text/plain' },
    summary: 'This process runs',
    replies: { 200: 'ok' },
  },
  {
    ...{ path: '/readyz', method: 'get', of: 'reporter', isOpen: true, type: 'text/plain' },
    summary: 'This process can work',
    replies: { 200: 'ok', 503: 'not ready; the body says why, with addresses only for the login' },
  },
  {
    ...{ path: '/metrics', method: 'get', of: 'reporter', type: 'text/plain' },
    summary: 'Metrics in the format of Prometheus',
    replies: { 200: 'the metrics', ...NO_LOGIN },
  },
  {
    ...{ path: '/', method: 'get', of: 'reporter', type: 'text/html' },
    summary: 'The dashboard',
    replies: { 200: 'the page', ...NO_LOGIN },
  },
  {
    ...{ path: '/docs', method: 'get', of: 'reporter', type: 'text/html' },
    summary: 'The documentation: one page that loads nothing',
    replies: { 200: 'the page', ...NO_LOGIN },
  },
  {
    ...{ path: '/openapi.json', method: 'get', of: 'reporter', reply: Json },
    summary: 'This document',
    replies: { 200: 'OpenAPI 3.1', ...NO_LOGIN },
  },
  {
    ...{ path: '/asyncapi.json', method: 'get', of: 'reporter', reply: Json },
    summary: 'The NATS interface',
    replies: { 200: 'AsyncAPI 3', ...NO_LOGIN },
  },
  {
    ...{ path: '/varz', method: 'get', of: 'reporter', reply: VARZ_REPLY },
    summary: 'Figures of the whole deployment under the names that HM 2.0 used',
    replies: READ,
  },
  {
    ...{ path: '/api', method: 'get', of: 'reporter', reply: act.PATH_LIST },
    summary: 'The paths of this API',
    replies: { 200: 'the list', ...NO_LOGIN },
  },
  {
    ...{ path: '/api/fleet', method: 'get', of: 'reporter', reply: FLEET_REPLY },
    summary: 'Totals, holds, DEAs, queues, processes',
    replies: READ,
  },
  {
    ...{ path: '/api/apps', method: 'get', of: 'reporter', reply: page.APPS_REPLY },
    summary: 'Apps, filtered and sorted, page by page',
    optional: {
      problem: 'some of the problems, separated by commas, or `any`',
      search: 'a part of the guid',
      dea: 'a guid: only apps with an instance there',
      sort: 'the order',
      limit: 'apps in one page, at most 200',
      cursor: 'where the page before ended',
    },
    replies: { ...READ, 400: 'a parameter is wrong' },
  },
  {
    ...{ path: '/api/decisions', method: 'get', of: 'reporter' },
    reply: Type.Union([page.DECISION_LINES, page.DECISION_ENTRIES]),
    summary: 'The decision log of all apps, filtered, newest first, page by page',
    optional: {
      app: 'a part of the guid',
      dea: 'a part of the guid of the DEA that the entry names',
      kind: 'some of the kinds, separated by commas',
      reason: 'some of the reasons, exit reasons and holds, separated by commas',
      since: 'how long ago (`30m`), or a time in ISO 8601',
      until: 'how long ago (`30m`), or a time in ISO 8601',
      limit: 'entries in one page, at most 10,000',
      cursor: 'where the page before ended',
      format: '`lines` (text for people), `json` (the entries) or `csv`',
    },
    replies: { ...READ, 400: 'a parameter is wrong' },
  },
  {
    ...{ path: '/api/droplets/{guid}', method: 'get', of: 'reporter', parameters: GUID },
    summary: 'The whole record of an app, the same as the reply on healthmanager.droplet',
    reply: DROPLET_REPLY,
    replies: { ...READ, ...UNKNOWN },
  },
  {
    ...{
      path: '/api/stories/{guid}',
      method: 'get',
      of: 'reporter',
      parameters: GUID,
      reply: page.STORY_REPLY,
    },
    summary: 'An app with its slots and its story, for the dashboard',
    replies: { ...READ, ...UNKNOWN },
  },
  {
    ...{ path: '/api/deas/{guid}', method: 'get', of: 'reporter', parameters: GUID, reply: page.DEA_REPLY },
    summary: 'A DEA with its instances, running or lost',
    replies: { ...READ, ...UNKNOWN },
  },
  {
    ...{ path: '/api/live', method: 'get', of: 'reporter', type: 'text/event-stream', reply: LIVE_EVENTS },
    summary: 'The data of the dashboard as server-sent events',
    replies: { 200: 'the stream', ...NO_LOGIN, 503: 'too many dashboards are open' },
  },
  {
    ...{ path: '/api/holds/{hold}/release', method: 'get', of: 'reporter', reply: act.RELEASE_PREVIEW },
    parameters: { hold: 'mass_loss or mass_delete' },
    summary: 'What the release of the hold would start or stop',
    replies: { ...READ, ...UNKNOWN },
  },
  {
    ...{ path: '/api/holds/{hold}/release', method: 'post', of: 'reporter', reply: act.RELEASED },
    parameters: { hold: 'mass_loss or mass_delete' },
    summary: 'Ends the hold',
    replies: { 202: 'requested', ...WRITE, ...UNKNOWN, 409: 'the hold is not on' },
  },
  {
    ...{ path: '/api/holds', method: 'post', of: 'reporter', body: PAUSE_BODY, reply: act.OPERATOR_HOLD },
    summary: 'Pauses starts, stops or both: of everything, of an app or of a DEA',
    replies: { 201: 'the hold', 400: 'the body is wrong', ...WRITE, 409: 'too many holds are on' },
  },
  {
    ...{ path: '/api/holds/operator/{id}/end', method: 'post', of: 'reporter', reply: act.OPERATOR_HOLD },
    parameters: { id: 'of the hold' },
    summary: 'Ends such a pause',
    replies: { 200: 'the hold that ended', ...WRITE, ...UNKNOWN },
  },
  {
    ...{ path: '/api/sync', method: 'post', of: 'reporter', reply: act.SYNC_REQUESTED },
    summary: 'Requests a bulk sync now',
    replies: { 202: 'requested', ...WRITE },
  },
  {
    ...{ path: '/api/retry', method: 'post', of: 'reporter', body: RETRY_BODY, reply: act.RETRIED },
    summary: 'Tries indices again that are given up, flapping or unplaced',
    replies: { 202: 'the indices', 400: 'the body is wrong', ...WRITE, ...UNKNOWN, 409: 'there are none' },
  },
  {
    ...{ path: '/bulk_app_state', method: 'post', of: 'reporter' },
    summary: 'The instances and crashes of apps, as a map by guid. Only with dialect hm9000-http',
    body: wire.APP_STATE_BULK_REQUEST,
    reply: APP_STATES_REPLY,
    replies: { 200: 'the map', 400: 'no list', ...WRITE },
  },
  {
    ...{ path: '/dea/heartbeat', method: 'post', of: 'ingest', type: 'text/plain' },
    summary:
      'A heartbeat of an agent, with a client certificate. Only with dialect hm9000-http. Without a 202 it must be sent again',
    body: wire.HEARTBEAT,
    replies: {
      202: 'stored',
      400: 'it cannot be parsed',
      401: 'no client certificate',
      403: 'not a valid certificate of `heartbeat_api.ca_file`',
      413: 'above 4 MiB',
      503: 'not stored within half a heartbeat period, or too many at once',
    },
  },
  {
    ...{ path: '/bulk/apps', method: 'get', of: 'bulk', reply: wire.BULK_PAGE },
    parameters: {
      batch_size: 'droplets in one page',
      bulk_token: 'the token of the page before, as JSON; `{}` for the first page',
    },
    summary: 'One page of the desired state. The pass is complete when `results` is empty',
    replies: { 200: 'the page', 401: 'the login is wrong: it is asked for again over NATS' },
  },
  {
    ...{ path: '/bulk/counts', method: 'get', of: 'bulk', reply: wire.COUNTS },
    parameters: { model: 'always `user`' },
    summary: 'The number of users, which is only shown',
    replies: { 200: 'the number', 401: 'the login is wrong: it is asked for again over NATS' },
  },
  {
    ...{ path: '/internal/dea/hm9000/start/{guid}', method: 'post', of: 'controller', parameters: GUID },
    summary:
      'Starts this index of the app. Only with dialect hm9000-http. The headers `hm-reason` and `hm-decision` say why',
    ...{ body: HM9000_START, type: 'text/plain', replies: OBEYED },
  },
  {
    ...{ path: '/internal/dea/hm9000/stop/{guid}', method: 'post', of: 'controller', parameters: GUID },
    summary:
      'Stops this instance of the app. Only with dialect hm9000-http. The headers `hm-reason` and `hm-decision` say why',
    ...{ body: HM9000_STOP, type: 'text/plain', replies: OBEYED },
  },
];
