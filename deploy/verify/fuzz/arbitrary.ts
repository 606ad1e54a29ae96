/** Arbitraries from a schema: valid inputs, and nearly valid ones. */
import fc, { type Arbitrary } from 'fast-check';
import type { TSchema } from 'typebox';

/** The part of JSON Schema that the project's schemas use. */
interface Schema {
  type?: string;
  anyOf?: Schema[];
  enum?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  patternProperties?: Record<string, Schema>;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  pattern?: string;
}

const AWKWARD_STRINGS = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '0',
  ' ',
  'a b:c{d}/é',
  '%',
  '💥',
];

const string = fc.oneof(
  { weight: 4, arbitrary: fc.stringMatching(/^[a-z0-9-]{1,12}$/) },
  { weight: 2, arbitrary: fc.constantFrom(...AWKWARD_STRINGS, 'x'.repeat(256)) },
  // At most 256 bytes, the bound of an id.
  {
    weight: 1,
    arbitrary: fc
      .string({ unit: 'grapheme-composite', minLength: 1, maxLength: 5 })
      .filter((text) => !/\p{Cc}/u.test(text) && Buffer.byteLength(text) <= 256),
  },
);

/** Inputs that satisfy the schema. */
export function valid(schema: TSchema): Arbitrary<unknown> {
  return fitting(schema as Schema);
}

function fitting(schema: Schema): Arbitrary<unknown> {
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(fitting));
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const { minimum: min, maximum: max } = schema;
  switch (schema.type) {
    case 'string':
      return schema.pattern === undefined && schema.minLength === undefined
        ? fc.oneof(string, fc.constant(''))
        : string;
    case 'integer':
      return fc.oneof(
        fc.maxSafeInteger().map((n) => within(n, min, max)),
        fc.integer({ min: Math.max(0, min ?? 0), max: Math.min(5, max ?? 5) }),
        fc.constantFrom(min ?? 0, max ?? 0),
      );
    case 'number':
      return fc.oneof(
        fc.integer({ min: 0, max: 2_000_000_000 }),
        fc.double({ min: min ?? -1e9, max: max ?? 1e300, noNaN: true }),
      );
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(fitting(schema.items ?? {}), { maxLength: 4 });
    case 'object':
      return schema.patternProperties === undefined
        ? objectOf(schema, fitting)
        : fc
            .array(fc.tuple(string, fitting(Object.values(schema.patternProperties)[0] ?? {})), {
              maxLength: 4,
            })
            .map(Object.fromEntries);
    default:
      throw new Error(`expected a schema type with an arbitrary, found ${schema.type}`);
  }
}

function within(n: number, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER): number {
  if (n >= min && n <= max) return n;
  return min + (Math.abs(n) % Math.min(max - min + 1, Number.MAX_SAFE_INTEGER));
}

function objectOf(schema: Schema, of: (schema: Schema) => Arbitrary<unknown>): Arbitrary<object> {
  const fields = Object.entries(schema.properties ?? {});
  return fc.record(Object.fromEntries(fields.map(([name, field]) => [name, of(field)])), {
    requiredKeys: schema.required ?? [],
  });
}

const pair = (key: string, value: unknown) => Object.fromEntries([[key, value]]);

/** Values that satisfy hardly any schema. */
export const oddValue: Arbitrary<unknown> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.constantFrom<unknown>(
      null,
      true,
      false,
      '',
      -1,
      -0,
      0.5,
      65_536,
      65_537,
      2 ** 53,
      1e308,
      -1e308,
      [],
      {},
      [[]],
      [null],
      'null',
      'x'.repeat(257),
      'é'.repeat(129),
      '\ud800',
      'a\udfff',
      'a\u0000b',
      '\n',
      '\u0085',
      '\u2028',
      '\u202e',
      '１',
      'NaN',
      '0x10',
      '1e999',
      pair('__proto__', { polluted: true }),
      pair('constructor', { prototype: 1 }),
    ),
  },
  { weight: 3, arbitrary: fc.double() },
  { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }) as Arbitrary<unknown> },
  { weight: 1, arbitrary: fc.integer({ min: 1_000, max: 20_000 }).map((n) => 'y'.repeat(n)) },
);

/** Valid inputs with a few errors: a field that is missing, superfluous, out of bounds or of another type. */
export function nearlyValid(schema: TSchema): Arbitrary<unknown> {
  return nearlyFitting(schema as Schema);
}

function nearlyFitting(schema: Schema): Arbitrary<unknown> {
  if (schema.anyOf !== undefined) return fc.oneof(oddValue, ...schema.anyOf.map(nearlyFitting));
  if (schema.type === 'array') {
    const items = schema.items ?? {};
    const mixed = fc.array(fc.oneof(fitting(items), nearlyFitting(items)), { maxLength: 4 });
    return fc.oneof({ weight: 1, arbitrary: oddValue }, { weight: 6, arbitrary: mixed });
  }
  if (schema.type !== 'object') return oddValue;
  const names = Object.keys(schema.properties ?? {});
  const table = Object.values(schema.patternProperties ?? {})[0];
  if (table !== undefined || names.length === 0) {
    const key = fc.oneof(string, fc.string({ unit: 'binary', maxLength: 300 }));
    const entry = table ?? {};
    const value = table === undefined ? oddValue : fc.oneof(fitting(entry), nearlyFitting(entry));
    return fc.oneof(oddValue, fc.array(fc.tuple(key, value), { maxLength: 4 }).map(Object.fromEntries));
  }
  const validObject = objectOf(schema, fitting);
  const changed = fc.tuple(validObject, fc.constantFrom(...names)).chain(([value, name]) =>
    fc.oneof(
      {
        weight: 4,
        arbitrary: nearlyFitting(schema.properties?.[name] ?? {}).map((field) => ({
          ...value,
          ...pair(name, field),
        })),
      },
      {
        weight: 2,
        arbitrary: fc.constant(Object.fromEntries(Object.entries(value).filter(([n]) => n !== name))),
      },
      {
        weight: 1,
        arbitrary: fc
          .tuple(fc.oneof(string, fc.constant('__proto__')), oddValue)
          .map(([extra, field]) => Object.fromEntries([...Object.entries(value), [extra, field]])),
      },
    ),
  );
  return fc.oneof({ weight: 1, arbitrary: oddValue }, { weight: 8, arbitrary: changed });
}

const DEEP = ['[', '{"a":'].flatMap((open) => [100, 50_000].map((depth) => open.repeat(depth)));

/** Payloads: valid and nearly valid JSON, JSON that is truncated or corrupted, and bytes that are no JSON. */
export function bytes(schema: TSchema): Arbitrary<Buffer> {
  const text = fc
    .oneof(valid(schema), nearlyValid(schema))
    .map((value) => Buffer.from(JSON.stringify(value) ?? ''));
  const truncated = fc
    .tuple(text, fc.nat(1_000))
    .map(([whole, at]) => whole.subarray(0, (at * whole.length) / 1_000));
  const corrupted = fc
    .tuple(text, fc.nat(1_000), fc.integer({ min: 0, max: 255 }))
    .map(([whole, at, byte]) => {
      const copy = Buffer.from(whole);
      copy[Math.floor((at * copy.length) / 1_001)] = byte;
      return copy;
    });
  const nested = fc
    .tuple(
      fc.constantFrom(...DEEP),
      fc.constantFrom(...Object.keys((schema as Schema).properties ?? { a: {} })),
    )
    .map(([deep, name]) => Buffer.from(`{${JSON.stringify(name)}:${deep}`));
  const noise = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array));
  const withByteOrderMark = text.map((whole) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), whole]));
  return fc.oneof(
    { weight: 60, arbitrary: text },
    { weight: 12, arbitrary: truncated },
    { weight: 12, arbitrary: corrupted },
    { weight: 5, arbitrary: noise },
    { weight: 3, arbitrary: withByteOrderMark },
    { weight: 1, arbitrary: nested },
  );
}
