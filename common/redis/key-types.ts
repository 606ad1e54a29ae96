import { EVENT_STREAMS, type Keys, PIECES } from './keys.ts';
import { type KeyType, SCHEMA } from './schema.ts';

/** A key, and the type that it has if it exists. */
export type TypedKey = readonly [key: string, type: KeyType];

/** All keys of a deployment but those of droplets, DEAs and jobs, and the pages of the desired state. */
export function typedKeys(keys: Keys): TypedKey[] {
  return SCHEMA.flatMap(({ key, type }) =>
    key
      .split(' and ')
      .filter((pattern) => !/<id>|<dea>|page:<n>|\.\.\./.test(pattern))
      .flatMap((pattern) => expand(pattern, keys).map((name) => [name, type] as const)),
  );
}

/** The lists of these DEAs, and the first pages of the desired state. */
export function typedItemKeys(keys: Keys, deas: readonly string[], pages: number): TypedKey[] {
  return [
    ...deas.map((dea) => [keys.deaList(dea), 'hash'] as const),
    ...Array.from({ length: pages }, (_, number) => [keys.syncPage(number), 'hash'] as const),
  ];
}

function expand(pattern: string, { prefix, slices }: Keys): string[] {
  const ranges: [placeholder: string, count: number][] = [
    ['<slice>', slices],
    ['<piece>', PIECES],
    ['<n>', EVENT_STREAMS],
  ];
  let names = [pattern.replace('<prefix>', () => prefix)];
  for (const [placeholder, count] of ranges) {
    if (!pattern.includes(placeholder)) continue;
    names = names.flatMap((name) =>
      Array.from({ length: count }, (_, n) => name.replace(placeholder, String(n))),
    );
  }
  return names;
}
