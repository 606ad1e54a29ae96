/** Figures of the whole deployment: `/api/fleet`, whose times and durations are milliseconds named `...Ms`, and `/varz`, under the names of HM 2.0. */
import Type, { type TSchema } from 'typebox';
import { DEA_STATES } from '../../../../common/model/dea-states.ts';
import { PROCESS_KINDS } from '../../../../common/model/process-kinds.ts';
import { COUNTERS } from '../../../../common/redis/fleet/counters.ts';
import { TOTALS } from '../../../../common/redis/fleet/summary.ts';
import { Count, EpochMs, Guid, HoldName, ProcessKind, PublicOperatorHold, Text } from './parts.ts';

const { Optional } = Type;
const fields = <T extends TSchema>(names: readonly string[], value: T): Record<string, T> =>
  Object.fromEntries(names.map((name) => [name, value]));
const orNull = <T extends TSchema>(value: T) => Type.Union([value, Type.Null()]);
const Seconds = Type.Number({ minimum: 0, description: 'seconds' });
const Ms = Type.Number({ minimum: 0, description: 'milliseconds' });

const Queue = Type.Object({ waiting: Count, delayed: Count });

const Process = Type.Object({
  ...{ kind: ProcessKind, host: Text, pid: Count, version: Text, sinceMs: EpochMs },
  ...{ lastWorkMs: orNull(EpochMs), lagMs: Ms },
  problems: Type.Record(Type.String(), Type.String(), { description: 'what it waits for, by part' }),
});

export const FLEET_REPLY = Type.Object({
  nowMs: EpochMs,
  status: Type.Object({ level: Text, text: Text }),
  actual_state_known: Type.Boolean(),
  totals: Type.Object(fields(TOTALS, Count)),
  slots: Type.Object({
    exact: Type.Boolean({ description: 'counted now; else by the latest audits' }),
    ...fields(['wanted', 'running', 'missing', 'flapping', 'unplaced'], Count),
    ...{ given_up: orNull(Count), held: orNull(Count), paused: Optional(Count) },
    expected: orNull(Count),
  }),
  troubled: Count,
  holds: Type.Array(
    Type.Object({
      ...{ hold: HoldName, sinceMs: orNull(EpochMs), droplets: Count },
      operator_holds: Optional(Type.Array(PublicOperatorHold)),
    }),
  ),
  deas: Type.Object(fields(DEA_STATES, Count)),
  processes: Type.Object({
    running: Type.Array(Process),
    working: Type.Object(fields(PROCESS_KINDS, Count)),
    versions: Type.Array(Text),
  }),
  queues: Type.Object(fields(['starts', 'restarts', 'stops'], Queue)),
  analysis: Type.Object({ durationMs: Ms }),
  sync: Type.Object({
    ...{ succeededMs: orNull(EpochMs), durationMs: orNull(Ms) },
    ...{ listed: orNull(Count), rejected: orNull(Count) },
  }),
  messages: Type.Object(fields(COUNTERS, Count)),
});

const Kilobytes = Type.Number({ description: 'KB' });
const Bytes = Type.Number({ description: 'bytes' });

/** Under the names of HM 2.0. */
export const VARZ_REPLY = Type.Object({
  ...{ type: Type.Literal('HealthManager'), index: Count, uuid: Guid, host: Text, start: Text, uptime: Text },
  ...{ num_cores: Count, mem: Kilobytes, cpu: Type.Number({ description: 'percent since the start' }) },
  ...{ mem_bytes: Bytes, mem_used_bytes: Bytes, mem_free_bytes: Bytes, cpu_load_avg: Type.Number() },
  log_counts: Type.Record(Type.String(), Count, { description: 'lines by level' }),
  state: Type.Literal('RUNNING'),
  actual_state_known: Type.Boolean(),
  ...fields(['total_apps', 'total_instances', 'running_instances', 'missing_instances'], Count),
  ...fields(['crashed_instances', 'flapping_instances'], Count),
  running: Type.Object(
    fields(['apps', 'crashes', 'running_instances', 'missing_instances', 'flapping_instances'], Count),
  ),
  total: Type.Object(
    fields(
      ['apps', 'started_apps', 'instances', 'started_instances', 'memory', 'started_memory'],
      Type.Number(),
    ),
  ),
  ...{ total_users: Count, queue_length: Count },
  ...fields(COUNTERS, Count),
  ...{ analysis_loop_duration: Seconds, bulk_update_loop_duration: Seconds },
});
