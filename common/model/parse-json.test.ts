import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { expect, it } from 'vitest';
import { parseJson } from './parse-json.ts';
import { HOLD_NAMES } from './reasons.ts';

const schema = Compile(Type.Object({ hold: Type.Enum(HOLD_NAMES) }));

it.each<[string, object | undefined]>([
  ['{"hold":"mass_loss"}', { hold: 'mass_loss' }],
  ['{"hold":"other"}', undefined],
  ['{"hold":', undefined],
])('parses %s as %j', (text, expected) => {
  expect(parseJson(schema, text)).toEqual(expected);
});
