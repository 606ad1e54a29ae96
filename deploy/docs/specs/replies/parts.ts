/** Parts of several replies. Times are epoch milliseconds in fields named `...Ms`; a time of a message keeps its name and epoch seconds. */
import Type from 'typebox';
import { DEA_STATES } from '../../../../common/model/dea-states.ts';
import { HOLD_COVERS } from '../../../../common/model/operator-hold.ts';
import { PROCESS_KINDS } from '../../../../common/model/process-kinds.ts';
import { HOLD_NAMES, PRIORITIES, START_REASONS } from '../../../../common/model/reasons.ts';

export const Guid = Type.String({ description: 'a guid; at most 256 bytes' });
export const Index = Type.Integer({ minimum: 0, maximum: 65_535 });
export const Count = Type.Integer({ minimum: 0 });
export const Text = Type.String();
export const EpochS = Type.Number({ minimum: 0, description: 'epoch seconds' });
export const EpochMs = Type.Number({ minimum: 0, description: 'epoch milliseconds' });

export const HoldName = Type.Enum(HOLD_NAMES);
export const StartReason = Type.Enum(START_REASONS);
export const Priority = Type.Enum(PRIORITIES);
export const DeaState = Type.Enum(DEA_STATES);
export const ProcessKind = Type.Enum(PROCESS_KINDS);
export const Tone = Type.Enum(['trouble', 'action', 'good', 'plain']);

/** A line of a story. */
export const STORY_FIELDS = {
  ...{ atMs: EpochMs, tone: Tone, text: Text },
  hold: Type.Optional(HoldName),
};

/** A line about any droplet. */
export const StoryUpdate = Type.Object({
  ...STORY_FIELDS,
  droplet: Type.String({
    description: 'a guid; empty: the line is about the whole deployment, or about `droplets`',
  }),
  droplets: Type.Optional(
    Type.Array(Guid, { description: 'what one hold keeps back of several droplets is one line' }),
  ),
});

const Step = Type.Union(
  [
    Type.Object({ kind: Type.Literal('given_up'), untilMs: EpochMs }),
    Type.Object({ kind: Type.Literal('dropped'), why: Type.Optional(Text) }),
    Type.Object({ kind: Type.Literal('retry'), untilMs: EpochMs }),
    Type.Object({ kind: Type.Literal('sent'), reason: StartReason, atMs: EpochMs, retryAtMs: EpochMs }),
    Type.Object({ kind: Type.Literal('restart'), dueMs: EpochMs }),
    Type.Object({
      ...{ kind: Type.Literal('queued'), reason: StartReason, priority: Priority, sinceMs: EpochMs },
      noNudger: Type.Optional(Type.Literal(true, { description: 'no nudger takes jobs' })),
    }),
    Type.Object({ kind: Type.Literal('held'), hold: HoldName }),
    Type.Object({ kind: Type.Literal('grace'), untilMs: EpochMs }),
    Type.Object({ kind: Type.Literal('soon') }),
  ],
  { description: 'what happens next' },
);

const ABSENT_FIELDS = {
  state: Type.Enum(['GIVEN UP', 'UNPLACED', 'FLAPPING', 'MISSING']),
  crashes: Count,
  lastCrashMs: Type.Optional(EpochMs),
  lastCrash: Type.Optional(Text),
  attempts: Type.Optional(Count),
  step: Step,
};

/** A wanted slot without a live instance. */
export const Absent = Type.Object(ABSENT_FIELDS);

/** Such slots of one app that have the same problem. */
export const SlotGroup = Type.Object({
  ...ABSENT_FIELDS,
  indices: Type.String({ description: 'such as `0 to 3 and 7`' }),
  count: Count,
  lastInstance: Type.Optional(
    Type.Object({
      ...{ dea: Guid, lastHeartbeatMs: EpochMs },
      cause: Type.Enum(['silent', 'unlisted', 'ended']),
      deas: Type.Optional(Count),
      exit: Type.Optional(Text),
    }),
  ),
});

/** An instance and its DEA. */
export const PLACE_FIELDS = {
  ...{ instance: Guid, index: Index, version: Guid, state: Text, dea: Guid },
  ...{ firstListedMs: EpochMs, lastHeartbeatMs: EpochMs },
};

const COVERS = Type.Enum(HOLD_COVERS);

/** A pause that an operator asked for, as the acts answer it. */
export const OPERATOR_HOLD = Type.Object({
  ...{ id: Text, covers: COVERS, droplet: Type.Optional(Guid), dea: Type.Optional(Guid) },
  ...{ why: Text, by: Text, sinceMs: EpochMs, untilMs: EpochMs },
});

/** The same in `/api/fleet`. */
export const PublicOperatorHold = Type.Object({
  ...{ id: Text, covers: COVERS },
  droplet: Type.Union([Guid, Type.Null()]),
  dea: Type.Union([Guid, Type.Null()]),
  ...{ why: Text, by: Text, sinceMs: EpochMs, untilMs: EpochMs },
});
