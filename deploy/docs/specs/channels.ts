/** Every subject: who sends what, with an example. The one source of asyncapi.yml and of the tables in protocol.md. */
import type { TSchema } from 'typebox';
import type { Dialect } from '../../../common/messages/dialects/dialects.ts';
import * as wire from '../../../common/messages/schemas.ts';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import * as published from './published.ts';

export interface Channel {
  /** Its subject; `{...}` is a parameter. */
  subject: string;
  /** As seen by the health manager: `requests` is published and answered, `answers` is received and answered. */
  role: 'receives' | 'publishes' | 'requests' | 'answers';
  /** Who is on the other side. */
  peer: 'agent' | 'controller' | 'monitoring';
  summary: string;
  payload: TSchema;
  example: unknown;
  /** One reply for each known droplet, or one in all. */
  reply?: { payload: TSchema; example: unknown; perDroplet?: true };
  /** Only with these dialects; absent: with all. */
  dialects?: readonly Dialect[];
}

const APP = 'c70b5d0f-3f7c-4a45-b1a4-5a3c7d3a5e01';
const DEA = '0-9b7e1c4b2a6d4f5a8c3e';
const VERSION = '8f14e45f-ceea-467a-9575-6d0f3f2c1b7a';
const INSTANCE = '1679091c5a880faf6fb5e6087eb1b2dc';
const LISTED = { cc_partition: 'default', droplet: APP, version: VERSION, instance: INSTANCE, index: 0 };
const APP_STATE = {
  droplet: APP,
  version: VERSION,
  instance_heartbeats: [
    {
      ...{ droplet: APP, version: VERSION, instance: INSTANCE, index: 0 },
      ...{ state: 'RUNNING', state_timestamp: 1398000000.5, dea_guid: DEA },
    },
  ],
  crash_counts: [
    { droplet: APP, version: VERSION, instance_index: 1, crash_count: 3, created_at: 1398000000 },
  ],
};

/** By the name of the channel in `SUBJECTS`. */
export const CHANNELS: Readonly<Record<keyof typeof SUBJECTS | 'bulkCredentials', Channel>> = {
  heartbeat: {
    subject: SUBJECTS.heartbeat,
    role: 'receives',
    peer: 'agent',
    summary:
      'The full list of the instances on a host, every ten seconds, and at once when it changes or is asked for. `dea` comes last; two heartbeats with the same list are byte for byte the same.',
    payload: wire.HEARTBEAT,
    example: { droplets: [{ ...LISTED, state: 'RUNNING', state_timestamp: 1398000000.5 }], dea: DEA },
  },
  exited: {
    subject: SUBJECTS.exited,
    role: 'receives',
    peer: 'agent',
    summary: 'An instance ended. The faster it is sent, the faster a crash is repaired.',
    payload: wire.EXITED,
    example: {
      ...{ ...LISTED, reason: 'CRASHED', exit_status: 137 },
      ...{ exit_description: 'out of memory', crash_timestamp: 1398000000 },
    },
  },
  shutdown: {
    subject: SUBJECTS.shutdown,
    role: 'receives',
    peer: 'agent',
    summary: 'A host leaves in order: its silence is no loss.',
    payload: published.SHUTDOWN,
    example: { id: DEA },
  },
  updated: {
    subject: SUBJECTS.updated,
    role: 'receives',
    peer: 'controller',
    summary:
      'An app was changed. The desired state is read at once, and nothing is decided about the app until then.',
    payload: wire.UPDATED,
    example: { droplet: APP, cc_partition: 'default' },
  },
  statusRequest: {
    subject: SUBJECTS.statusRequest,
    role: 'answers',
    peer: 'controller',
    summary: 'Which indices of an app are flapping, or which instances crashed.',
    payload: wire.STATUS_REQUEST,
    example: { droplet: APP, version: VERSION, state: 'FLAPPING' },
    reply: {
      payload: published.STATUS_REPLY,
      example: { indices: [{ index: 0, since: 1398000000 }] },
      perDroplet: true,
    },
  },
  healthRequest: {
    subject: SUBJECTS.healthRequest,
    role: 'answers',
    peer: 'controller',
    summary: 'How many wanted indices of each app run.',
    payload: wire.HEALTH_REQUEST,
    example: { droplets: [{ droplet: APP, version: VERSION }] },
    reply: {
      payload: published.HEALTH_REPLY,
      example: { droplet: APP, version: VERSION, healthy: 2 },
      perDroplet: true,
    },
  },
  dropletRequest: {
    subject: SUBJECTS.dropletRequest,
    role: 'answers',
    peer: 'controller',
    summary: 'All that is known of each app.',
    payload: wire.DROPLET_REQUEST,
    example: { droplets: [{ droplet: APP }] },
    reply: {
      payload: published.DROPLET_REPLY,
      example: {
        ...{ droplet: APP, firstSeenMs: 1_398_000_000_000, desired: null, missing_indices: [], versions: {} },
        ...{ crashes: {}, exits: {}, slots: {}, pending_starts: [], pending_restarts: [] },
        ...{ pending_stops: {}, held_stops: {} },
      },
      perDroplet: true,
    },
  },
  appState: {
    subject: SUBJECTS.appState,
    role: 'answers',
    peer: 'controller',
    summary: 'The instances and crashes of one app; `{}` where nothing is known.',
    payload: wire.APP_STATE_REQUEST,
    example: { droplet: APP, version: VERSION },
    reply: { payload: published.APP_STATE_REPLY, example: APP_STATE },
    dialects: ['hm9000-nats'],
  },
  appStateBulk: {
    subject: SUBJECTS.appStateBulk,
    role: 'answers',
    peer: 'controller',
    summary: 'The same of several apps, as a map by guid; unknown apps are left out.',
    payload: wire.APP_STATE_BULK_REQUEST,
    example: [{ droplet: APP, version: VERSION }],
    reply: { payload: published.APP_STATES_REPLY, example: { [APP]: APP_STATE } },
    dialects: ['hm9000-nats'],
  },
  discover: {
    subject: SUBJECTS.discover,
    role: 'answers',
    peer: 'monitoring',
    summary: 'Which components run, and where their figures are.',
    payload: published.ANY,
    example: {},
    reply: { payload: published.ANNOUNCEMENT, example: announcement() },
  },
  start: {
    subject: SUBJECTS.start,
    role: 'publishes',
    peer: 'controller',
    summary: 'Start this index of the app. The headers `hm-reason` and `hm-decision` say why.',
    payload: published.START,
    example: {
      ...{ droplet: APP, last_updated: 1398000000, version: VERSION },
      ...{ indices: [2], running: { [VERSION]: 2 }, flapping: false },
    },
    dialects: ['hm2'],
  },
  stop: {
    subject: SUBJECTS.stop,
    role: 'publishes',
    peer: 'controller',
    summary: 'Stop this instance of the app. The headers `hm-reason` and `hm-decision` say why.',
    payload: published.STOP,
    example: {
      ...{ droplet: APP, last_updated: 1398000000, instances: { [INSTANCE]: VERSION } },
      ...{ running: { [VERSION]: 3 }, version: VERSION },
    },
    dialects: ['hm2'],
  },
  hm9000Start: {
    subject: SUBJECTS.hm9000Start,
    role: 'publishes',
    peer: 'controller',
    summary: 'Start this index of the app.',
    payload: published.HM9000_START,
    example: { message_id: 'a.2.1', droplet: APP, version: VERSION, instance_index: 2 },
    dialects: ['hm9000-nats'],
  },
  hm9000Stop: {
    subject: SUBJECTS.hm9000Stop,
    role: 'publishes',
    peer: 'controller',
    summary: 'Stop this instance. `is_duplicate`: another instance of its index stays.',
    payload: published.HM9000_STOP,
    example: {
      ...{ message_id: 'a.stop.1', droplet: APP, version: VERSION },
      ...{ instance_guid: INSTANCE, instance_index: 0, is_duplicate: true },
    },
    dialects: ['hm9000-nats'],
  },
  healthmanagerStart: {
    subject: SUBJECTS.healthmanagerStart,
    role: 'publishes',
    peer: 'agent',
    summary: 'Heartbeats may have been missed: each agent sends one at once.',
    payload: published.ANY,
    example: {},
  },
  announce: {
    subject: SUBJECTS.announce,
    role: 'publishes',
    peer: 'monitoring',
    summary: 'A reporter has started.',
    payload: published.ANNOUNCEMENT,
    example: announcement(),
  },
  bulkCredentials: {
    subject: 'cloudcontroller.bulk.credentials.{partition}',
    role: 'requests',
    peer: 'controller',
    summary:
      'The login for the bulk API. Asked for at the first pass, and after the controller refused it (401).',
    payload: published.ANY,
    example: {},
    reply: { payload: published.CREDENTIALS, example: { user: 'bulk_api', password: 'secret' } },
  },
};

function announcement(): object {
  return {
    ...{ type: 'HealthManager', index: 0, uuid: '0-5d41402a', host: '10.0.0.5:54321' },
    ...{ credentials: ['user', 'password'], start: '2014-04-20 13:20:00 +0000', uptime: '0d:0h:0m:1s' },
  };
}

/** A table of all subjects for protocol.md. */
export function channelTable(): string {
  const rows = Object.values(CHANNELS).map(
    ({ subject, role, peer, summary, dialects }) =>
      `| \`${subject}\` | ${role} | ${peer} | ${summary}${dialects === undefined ? '' : ` (${dialects.join(', ')})`} |`,
  );
  return ['| subject | health manager | other side | what |', '|---|---|---|---|', ...rows].join('\n');
}
