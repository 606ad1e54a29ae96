import type { TypedKey } from '../redis/key-types.ts';
import type { KeyType } from '../redis/schema.ts';
import { QUEUE_NAMES } from './queues.ts';

/** What BullMQ keeps of each queue, apart from its jobs. */
const TYPES: Readonly<Record<string, KeyType>> = {
  meta: 'hash',
  wait: 'list',
  active: 'list',
  paused: 'list',
  prioritized: 'zset',
  delayed: 'zset',
  completed: 'zset',
  failed: 'zset',
  repeat: 'zset',
  marker: 'zset',
  events: 'stream',
  stalled: 'set',
  id: 'string',
  pc: 'string',
  limiter: 'string',
  'stalled-check': 'string',
};

/** @param prefix first part of the keys of all queues */
export function typedQueueKeys(prefix: string): TypedKey[] {
  return QUEUE_NAMES.flatMap((queue) =>
    Object.entries(TYPES).map(([name, type]) => [`${prefix}:${queue}:${name}`, type] as const),
  );
}
