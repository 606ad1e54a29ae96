/** Bodies of the requests by which an operator acts over HTTP. */
import Type from 'typebox';
import { HOLD_COVERS, MAX_HOLD_MS, MAX_WHY_LENGTH } from '../model/operator-hold.ts';

const Guid = Type.String({ minLength: 1, maxLength: 256 });

/** `POST /api/holds` */
export const PAUSE_BODY = Type.Object(
  {
    covers: Type.Enum(HOLD_COVERS),
    droplet: Type.Optional(Guid),
    dea: Type.Optional(Guid),
    why: Type.String({ minLength: 1, maxLength: MAX_WHY_LENGTH, pattern: '\\S' }),
    durationMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: MAX_HOLD_MS })),
  },
  { additionalProperties: false },
);

/** `POST /api/retry` */
export const RETRY_BODY = Type.Object(
  { droplet: Guid, index: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })) },
  { additionalProperties: false },
);
