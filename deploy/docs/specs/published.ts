/** Schemas of what the health manager publishes and replies. A test compares them with what the code makes. */
import Type from 'typebox';
import { CREDENTIALS, SHUTDOWN } from '../../../common/messages/schemas.ts';
import { DROPLET_REPLY } from './replies/droplet.ts';

const Guid = Type.String({ description: 'a guid; at most 256 bytes' });
const Index = Type.Integer({ minimum: 0, maximum: 65_535 });
const EpochS = Type.Integer({ minimum: 0, description: 'epoch seconds' });
const Count = Type.Integer({ minimum: 0 });
const LastUpdated = Type.Union([EpochS, Type.Null()], {
  description: '`updated_at` of the app; null: it is not desired',
});
const Running = Type.Record(Type.String(), Count, {
  description: 'RUNNING instances by version; versions with none are left out',
});

export const START = Type.Object({
  droplet: Guid,
  last_updated: LastUpdated,
  version: Guid,
  indices: Type.Array(Index, { minItems: 1, maxItems: 1 }),
  running: Running,
  flapping: Type.Boolean(),
});

export const STOP = Type.Object({
  droplet: Guid,
  last_updated: LastUpdated,
  instances: Type.Record(Type.String(), Type.String(), { description: 'instance guid to its version' }),
  running: Running,
  version: Type.Union([Guid, Type.Null()], { description: 'the live version; null: the app is not desired' }),
});

export const HM9000_START = Type.Object({
  message_id: Type.String(),
  droplet: Guid,
  version: Guid,
  instance_index: Index,
});

export const HM9000_STOP = Type.Object({
  ...{ message_id: Type.String(), droplet: Guid, version: Guid },
  ...{ instance_guid: Guid, instance_index: Index, is_duplicate: Type.Boolean() },
});

export const STATUS_REPLY = Type.Union([
  Type.Object({ indices: Type.Array(Type.Object({ index: Index, since: EpochS })) }),
  Type.Object({ instances: Type.Array(Type.Object({ instance: Guid, since: Type.Number() })) }),
]);

export const HEALTH_REPLY = Type.Object({ droplet: Guid, version: Guid, healthy: Count });

const Heartbeat = Type.Object({
  ...{ droplet: Guid, version: Guid, instance: Guid, index: Index, state: Type.String() },
  ...{ state_timestamp: Type.Number(), dea_guid: Guid },
});
const CrashCount = Type.Object({
  ...{ droplet: Guid, version: Guid, instance_index: Index },
  ...{ crash_count: Count, created_at: EpochS },
});
const AppState = Type.Object({
  droplet: Guid,
  version: Guid,
  instance_heartbeats: Type.Array(Heartbeat),
  crash_counts: Type.Array(CrashCount),
});
/** Empty where nothing is known. */
export const APP_STATE_REPLY = Type.Union([
  AppState,
  Type.Object({}, { additionalProperties: false, description: 'nothing is known' }),
]);
export const APP_STATES_REPLY = Type.Record(Type.String(), AppState);

export const ANNOUNCEMENT = Type.Object({
  type: Type.Literal('HealthManager'),
  index: Count,
  uuid: Type.String(),
  host: Type.String({ description: '<ip>:<port> of the HTTP server' }),
  credentials: Type.Array(Type.String(), { minItems: 2, maxItems: 2 }),
  start: Type.String(),
  uptime: Type.String(),
});

/** Nothing, or anything: the payload is not read. */
export const ANY = Type.Object({});

export { CREDENTIALS, DROPLET_REPLY, SHUTDOWN };
