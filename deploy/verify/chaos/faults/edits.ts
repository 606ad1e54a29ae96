/** What somebody with a redis-cli writes: values that no process wrote. */
import { typedQueueKeys } from '../../../../common/queues/queue-keys.ts';
import { type TypedKey, typedKeys } from '../../../../common/redis/key-types.ts';
import { FIELD, type Keys } from '../../../../common/redis/keys.ts';

/** Fields of the fleet, and the text that replaces each. */
export function fieldEdits(keys: Keys): readonly (readonly [key: string, field: string, value: string])[] {
  return [
    [keys.scan, 'audit_slice', 'soon'],
    [keys.scan, 'audit_at', '-'],
    [keys.clock, 'ahead', 'tomorrow'],
    [keys.clock, 'last', '9e99'],
    [keys.syncState, 'rewrite', 'yes'],
    [keys.listening, 'gaps', 'none of them'],
    [keys.listening, 'until', 'now'],
  ];
}

/** A record's field and the text that replaces it; undefined: the field is deleted. */
export const RECORD_EDITS: readonly (readonly [field: string, value: string | undefined])[] = [
  [FIELD.rev, 'x'],
  [FIELD.rev, undefined],
  [FIELD.seen, undefined],
  [FIELD.desired, '{"instances":'],
  [FIELD.desired, undefined],
  [`${FIELD.slot}0`, 'mine'],
  [`${FIELD.instance}mine`, 'is here'],
  ['note', 'looked at this'],
];

/**
 * Keys that can be built again, by family: those that differ only in their slice or number. What an operator paused cannot, and no
 * process starts while the layout cannot be read.
 */
export function keyFamilies(keys: Keys): ReadonlyMap<string, readonly TypedKey[]> {
  const families = new Map<string, TypedKey[]>();
  for (const typed of [...typedKeys(keys), ...typedQueueKeys(keys.queuePrefix)]) {
    const [key] = typed;
    if (key === keys.layout || key === keys.operatorHolds) continue;
    const family = key.replaceAll(/\d+/g, '<n>').replace(/(\{queues\}:)\w+/, '$1<queue>');
    families.set(family, [...(families.get(family) ?? []), typed]);
  }
  return families;
}
