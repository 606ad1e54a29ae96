/** Visits the pairs of a flat Redis reply (`field, value, field, value, ...`), without a copy. */
export function eachPair(flat: readonly string[], visit: (first: string, second: string) => void): void {
  for (let at = 0; at + 1 < flat.length; at += 2) visit(flat[at] as string, flat[at + 1] as string);
}

/** The pairs of a flat Redis reply: of HGETALL, or of a sorted set WITHSCORES. */
export function pairsOf(flat: readonly string[]): [first: string, second: string][] {
  const pairs: [string, string][] = [];
  eachPair(flat, (first, second) => pairs.push([first, second]));
  return pairs;
}
