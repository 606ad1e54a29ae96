/**
 * Schemas of everything that is received (contract: messages in, bulk API). The parsers in incoming.ts and bulk.ts can only read
 * fields that are declared here (`Fields`), and the fuzzer generates its input from these schemas. So a new field is always fuzzed.
 */
import Type, { type Static, type TSchema } from 'typebox';
import { APP_STATES, PACKAGE_STATES } from '../model/instance-states.ts';
import { EXIT_REASONS } from '../model/reasons.ts';

/** The fields of a message before they are checked. */
export type Fields<T extends TSchema> = { readonly [Field in keyof Static<T>]?: unknown };

/** The parser also checks for at most 256 bytes, which a pattern cannot express. */
const Id = Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$' });
/** Old clouds have integers. */
const DropletId = Type.Union([
  Id,
  Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }),
]);
const Index = Type.Integer({ minimum: 0, maximum: 65_535 });
const Time = Type.Number({ minimum: 0 });
const Partition = Type.Optional(Type.Union([Type.String(), Type.Null()]));

export const HEARTBEAT_ENTRY = Type.Object({
  cc_partition: Partition,
  droplet: DropletId,
  version: Id,
  instance: Id,
  index: Index,
  state: Id,
  state_timestamp: Time,
});
export const HEARTBEAT = Type.Object({ droplets: Type.Array(HEARTBEAT_ENTRY), dea: Id });

/** Only the fields that are read: the others may have any type, also null. */
export const EXITED = Type.Object({
  cc_partition: Partition,
  droplet: DropletId,
  version: Id,
  instance: Id,
  index: Index,
  reason: Type.Enum(EXIT_REASONS),
  exit_status: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
  exit_description: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  crash_timestamp: Type.Optional(Type.Union([Time, Type.Null()])),
});

export const UPDATED = Type.Object({ droplet: DropletId, cc_partition: Partition });

export const SHUTDOWN = Type.Object({ id: Id });

export const STATUS_REQUEST = Type.Object({
  droplet: DropletId,
  state: Type.Enum(['FLAPPING', 'CRASHED']),
  version: Id,
});

export const HEALTH_ENTRY = Type.Object({ droplet: DropletId, version: Id });
export const HEALTH_REQUEST = Type.Object({ droplets: Type.Array(HEALTH_ENTRY) });

export const APP_STATE_REQUEST = HEALTH_ENTRY;
export const APP_STATE_BULK_REQUEST = Type.Array(HEALTH_ENTRY);

export const DROPLET_ENTRY = Type.Object({ droplet: DropletId });
export const DROPLET_REQUEST = Type.Object({ droplets: Type.Array(DROPLET_ENTRY) });

export const BULK_ENTRY = Type.Object({
  id: Type.Optional(Id),
  instances: Type.Integer({ minimum: 0, maximum: 65_536 }),
  state: Type.Enum(APP_STATES),
  memory: Type.Optional(Type.Number()),
  package_state: Type.Enum(PACKAGE_STATES),
  updated_at: Type.Optional(
    Type.Enum([
      '2014-04-15T15:14:56+00:00',
      '2014-04-15 15:14:56 UTC',
      '2014-04-15 15:14:56 +0800',
      '2014/04/15 15:14:56 +0000',
    ]),
  ),
  version: Id,
});
export const BULK_PAGE = Type.Object({
  results: Type.Record(Type.String(), BULK_ENTRY),
  bulk_token: Type.Object({ id: Type.Integer() }),
});

export const CREDENTIALS = Type.Object({ user: Type.String(), password: Type.String() });

export const COUNTS = Type.Object({
  counts: Type.Object({ user: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }) }),
});
