/** The whole record of an app: the reply on `healthmanager.droplet` and `/api/droplets/<guid>`. Times are epoch milliseconds and named `...Ms`; those of a message or of the bulk API keep its name and epoch seconds. */
import Type from 'typebox';
import { APP_STATES, PACKAGE_STATES } from '../../../../common/model/instance-states.ts';
import { EXIT_REASONS, STOP_REASONS } from '../../../../common/model/reasons.ts';
import { Count, EpochMs, EpochS, Guid, HoldName, Index, Priority, StartReason, Text } from './parts.ts';

const { Optional } = Type;
const REPORTED = { exit_status: Optional(Type.Integer()), exit_description: Optional(Text) };

const Desired = Type.Object({
  ...{ state: Type.Enum(APP_STATES), package_state: Type.Enum(PACKAGE_STATES) },
  ...{ instances: Count, version: Guid, memory: Type.Number({ description: 'MB' }), updated_at: EpochS },
});

const Instance = Type.Object({
  ...{ index: Index, state: Text, state_timestamp: EpochS, dea: Guid },
  ...{ firstListedMs: EpochMs, lastListedMs: EpochMs, live: Type.Boolean() },
});

const Crash = Type.Object({ index: Index, version: Guid, crash_timestamp: EpochS, ...REPORTED });

const Exit = Type.Object({
  ...{ index: Index, version: Guid, reason: Type.Enum(EXIT_REASONS), receivedMs: EpochMs },
  ...{ crash_timestamp: Optional(EpochS), ...REPORTED },
});

const Slot = Type.Object({
  ...{ version: Guid, crashes: Count, flapping: Type.Boolean(), given_up: Type.Boolean() },
  ...{ lastCrashMs: Optional(EpochMs), starts_without_effect: Optional(Count) },
  ...{ unplaced: Optional(Type.Boolean()), nextTryMs: Optional(EpochMs), hold: Optional(HoldName) },
});

const PendingStart = Type.Object({
  ...{ index: Index, version: Guid, reason: StartReason, priority: Priority },
  ...{ decidedMs: EpochMs, dueMs: Optional(EpochMs), sentMs: Optional(EpochMs) },
});

const StopReason = Type.Enum(STOP_REASONS);
const byGuid = <T extends Parameters<typeof Type.Record>[1]>(value: T) => Type.Record(Type.String(), value);

export const DROPLET_REPLY = Type.Object({
  ...{ droplet: Guid, firstSeenMs: EpochMs, updatedMs: Optional(EpochMs) },
  desired: Type.Union([Type.Null(), Desired]),
  notDesiredSinceMs: Optional(EpochMs),
  missing_indices: Type.Array(Index),
  versions: byGuid(Type.Object({ instances: byGuid(Instance) })),
  crashes: byGuid(Crash),
  exits: byGuid(Exit),
  slots: Type.Record(Type.String(), Slot, { description: 'by index' }),
  ...{ pending_starts: Type.Array(PendingStart), pending_restarts: Type.Array(PendingStart) },
  pending_stops: byGuid(Type.Object({ reason: StopReason, decidedMs: EpochMs, sentMs: Optional(EpochMs) })),
  held_stops: byGuid(Type.Object({ reason: StopReason, hold: HoldName })),
});
