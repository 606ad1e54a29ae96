/** Decoders of what the scripts return: named codes, counts, and per-droplet problems. */

/** One droplet of a call could not be written or read, because one of its keys has the wrong type. */
export interface Problem {
  /** Redis's error message. */
  problem: string;
}

/**
 * The reply, which is one of the codes that the script's head lists.
 *
 * @throws Error for any other reply
 */
export function decodeCode<C extends string>(reply: unknown, ...codes: C[]): C {
  const code = codes.find((one) => one === reply);
  if (code !== undefined) return code;
  throw new Error(`Redis script: expected the reply ${codes.join(' or ')}, found ${JSON.stringify(reply)}`);
}

/**
 * A code, or the problem of a droplet whose keys have the wrong type.
 *
 * @throws Error for any other reply
 */
export function decodeResult<C extends string>(reply: unknown, ...codes: C[]): C | Problem {
  return decodeProblem(reply) ?? decodeCode(reply, ...codes);
}

/** The problem that a script returned for one droplet as `{'problem', message}`; undefined for any other reply. */
export function decodeProblem(reply: unknown): Problem | undefined {
  return Array.isArray(reply) && reply[0] === 'problem' ? { problem: String(reply[1]) } : undefined;
}

/** A list with a reply for each droplet. @throws Error for any other reply */
export function decodeList(reply: unknown): unknown[] {
  if (Array.isArray(reply)) return reply;
  throw new Error(`Redis script: expected a list, found ${JSON.stringify(reply)}`);
}

/** How many, or the code that the write was refused because a newer writer has begun. @throws Error for any other reply */
export function decodeCountOrSuperseded(reply: unknown): number | 'superseded' {
  return typeof reply === 'number' ? reply : decodeCode(reply, 'superseded');
}

/** The sum over several calls; superseded if one of them was. */
export function sumOrSuperseded(counts: readonly (number | 'superseded')[]): number | 'superseded' {
  let sum = 0;
  for (const count of counts) {
    if (count === 'superseded') return count;
    sum += count;
  }
  return sum;
}
