/** Compares the fields of values with those of a schema, both ways. For tests. */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

/** JSON schema as far as the specifications use it. */
interface Node {
  properties?: Record<string, Node>;
  patternProperties?: Record<string, Node>;
  items?: Node;
  anyOf?: Node[];
}

export interface Comparison {
  /** Paths that a value has and the schema lacks. */
  undocumented: string[];
  /** Paths of the schema that no value has. */
  unseen: string[];
}

/** @param values what the code sent or accepted */
export function compareFields(schema: TSchema, values: readonly unknown[]): Comparison {
  const declared = new Set<string>();
  declare(schema as Node, '', declared);
  const seen = new Set<string>();
  const undocumented = new Set<string>();
  for (const value of values) {
    const found = walk(schema as Node, value, '');
    for (const path of found.seen) seen.add(path);
    for (const path of found.extra) undocumented.add(path);
  }
  return { undocumented: [...undocumented], unseen: [...declared].filter((path) => !seen.has(path)) };
}

function declare(node: Node, at: string, into: Set<string>): void {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    into.add(`${at}.${name}`);
    declare(child, `${at}.${name}`, into);
  }
  for (const child of Object.values(node.patternProperties ?? {})) declare(child, `${at}.*`, into);
  for (const child of node.anyOf ?? []) declare(child, at, into);
  if (node.items !== undefined) declare(node.items, `${at}[]`, into);
}

interface Found {
  seen: string[];
  extra: string[];
}

function walk(node: Node, value: unknown, at: string): Found {
  if (node.anyOf !== undefined) {
    const fitting = node.anyOf.filter((variant) => Compile(variant as TSchema).Check(value));
    const all = fitting.map((variant) => walk(variant, value, at));
    return (
      all.sort((a, b) => a.extra.length - b.extra.length)[0] ?? { seen: [], extra: [`${at} (no variant)`] }
    );
  }
  if (Array.isArray(value)) return join(value.map((item) => walk(node.items ?? {}, item, `${at}[]`)));
  if (typeof value !== 'object' || value === null) return { seen: [], extra: [] };
  const [any] = Object.values(node.patternProperties ?? {});
  return join(
    Object.entries(value).map(([name, child]): Found => {
      if (any !== undefined) return walk(any, child, `${at}.*`);
      const known = Object.hasOwn(node.properties ?? {}, name) ? node.properties?.[name] : undefined;
      if (known === undefined) return { seen: [], extra: [`${at}.${name}`] };
      const { seen, extra } = walk(known, child, `${at}.${name}`);
      return { seen: [`${at}.${name}`, ...seen], extra };
    }),
  );
}

function join(found: readonly Found[]): Found {
  return { seen: found.flatMap(({ seen }) => seen), extra: found.flatMap(({ extra }) => extra) };
}
