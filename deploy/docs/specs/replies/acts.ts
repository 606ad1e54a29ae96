/** Replies to the requests by which an operator acts. */
import Type from 'typebox';
import { Count, Guid, Index, OPERATOR_HOLD, Text } from './parts.ts';

const Releasable = Type.Enum(['mass_loss', 'mass_delete']);

export const RELEASE_PREVIEW = Type.Object({
  ...{ hold: Releasable, deas: Count, instances: Count, apps: Count, startsPerSecond: Count, text: Text },
});
export const RELEASED = Type.Object({ requested: Releasable });
export const SYNC_REQUESTED = Type.Object({ requested: Type.Literal('sync') });
export const RETRIED = Type.Object({ droplet: Guid, indices: Type.Array(Index) });
/** Every reply with a status of 400 and above. */
export const ERROR = Type.Object({ error: Text });
/** `/api`: each path with what it is. */
export const PATH_LIST = Type.Object({ name: Text, paths: Type.Record(Type.String(), Type.String()) });

export { OPERATOR_HOLD };
