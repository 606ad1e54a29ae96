/** The fields of a droplet's hash that are JSON. */
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { parseJson } from '../../model/parse-json.ts';
import {
  EVENT_START_REASONS,
  HOLD_NAMES,
  OUTCOMES,
  PRIORITIES,
  START_REASONS,
  STOP_REASONS,
} from '../../model/reasons.ts';
import { RecordError } from './record-error.ts';

export const SlotSchema = Type.Object({
  index: Type.Integer({ minimum: 0 }),
  version: Type.String(),
  crashes: Type.Integer({ minimum: 0 }),
  flapping: Type.Boolean(),
  lastCrashMs: Type.Optional(Type.Number()),
  attempts: Type.Optional(Type.Integer({ minimum: 1 })),
  retryMs: Type.Optional(Type.Number()),
  held: Type.Optional(Type.Enum(HOLD_NAMES)),
  heldFor: Type.Optional(Type.Enum(EVENT_START_REASONS)),
  start: Type.Optional(
    Type.Object({
      id: Type.String(),
      reason: Type.Enum(START_REASONS),
      priority: Type.Enum(PRIORITIES),
      decidedMs: Type.Number(),
      dueMs: Type.Optional(Type.Number()),
    }),
  ),
});

export const StopSchema = Type.Object({
  instance: Type.String(),
  id: Type.String(),
  reason: Type.Enum(STOP_REASONS),
  decidedMs: Type.Number(),
  held: Type.Optional(Type.Enum(HOLD_NAMES)),
});

export const OutcomeSchema = Type.Object({
  id: Type.String(),
  outcome: Type.Enum(OUTCOMES),
  atMs: Type.Number(),
  why: Type.Optional(Type.String()),
  by: Type.Optional(Type.String()),
});

/** Of a field `slot:<index>`. */
export const slotJson = Compile(SlotSchema);
/** Of a field `stop:<instance>`. */
export const stopJson = Compile(StopSchema);
/** Of a field `outcome:<decision>`. */
export const outcomeJson = Compile(OutcomeSchema);

/** @throws RecordError when the text is not JSON, or does not match the schema */
export function decodeJson<T>(field: string, text: string, schema: Parameters<typeof parseJson<T>>[0]): T {
  const value = parseJson(schema, text);
  if (value === undefined) throw new RecordError(field, text);
  return value;
}
