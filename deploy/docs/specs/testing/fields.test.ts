import Type from 'typebox';
import { expect, test } from 'vitest';
import { compareFields } from './fields.ts';

const SCHEMA = Type.Object({
  a: Type.Array(Type.Object({ b: Type.Optional(Type.String()) })),
  c: Type.Record(Type.String(), Type.Object({ d: Type.Number() })),
  e: Type.Union([Type.Null(), Type.Object({ f: Type.Number() })]),
});

test('finds fields that the schema lacks, at any depth', () => {
  const value = { a: [{ b: '', x: 1 }], c: { k: { d: 1, y: 1 } }, e: { f: 1, z: 1 }, w: 1 };
  expect(compareFields(SCHEMA, [value])).toEqual({
    undocumented: ['.a[].x', '.c.*.y', '.e.z', '.w'],
    unseen: [],
  });
});

test('finds fields of the schema that no value has', () => {
  expect(compareFields(SCHEMA, [{ a: [{}], c: {}, e: null }])).toEqual({
    undocumented: [],
    unseen: ['.a[].b', '.c.*.d', '.e.f'],
  });
});
