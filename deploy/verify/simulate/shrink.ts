import type { Episode, Item } from './history.ts';

/** A history, and whether it still fails. */
export type Fails = (episodes: readonly Episode[]) => Promise<boolean>;

interface Options {
  fails: Fails;
  /** How many histories may be tried. */
  tries: number;
}

/**
 * Looks for the shortest history that still fails: first without the episodes before the last one, then without items, in
 * halves, quarters and so on down to single ones (delta debugging). It is repeated until nothing more can be left out.
 *
 * @param episodes a history that fails in its last episode
 */
export async function shrink(
  episodes: readonly Episode[],
  { fails, tries }: Options,
): Promise<readonly Episode[]> {
  let left = tries;
  const stillFails = async (shorter: readonly Episode[]) => left-- > 0 && (await fails(shorter));
  let shortest = episodes;
  for (let kept = 1; kept < episodes.length; kept *= 2) {
    const last = episodes.slice(-kept);
    if (!(await stillFails(last))) continue;
    shortest = last;
    break;
  }
  const items = shortest.flatMap((episode, at) => episode.map((item) => ({ at, item })));
  const rebuild = (some: readonly { at: number; item: Item }[]): Episode[] =>
    shortest.map((_, at) => some.filter((one) => one.at === at).map(({ item }) => item));
  const kept = await leaveOut(items, (some) => stillFails(rebuild(some)));
  return rebuild(kept);
}

/** @returns a part of `all` that still fails, and none of whose elements can be left out (unless the tries are used up) */
async function leaveOut<T>(
  all: readonly T[],
  fails: (some: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  let current = all;
  for (let size = Math.ceil(current.length / 2); size >= 1; ) {
    let removed = false;
    for (let from = 0; from < current.length; ) {
      const shorter = [...current.slice(0, from), ...current.slice(from + size)];
      if (await fails(shorter)) {
        current = shorter;
        removed = true;
      } else from += size;
    }
    if (size > 1) size = Math.ceil(size / 2);
    else if (!removed) break;
  }
  return current;
}
