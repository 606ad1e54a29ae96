import fc from 'fast-check';
import { Compile } from 'typebox/compile';
import { describe, expect, test } from 'vitest';
import * as wire from '../../../common/messages/schemas.ts';
import { nearlyValid, valid } from './arbitrary.ts';
import { MESSAGES } from './messages.ts';
import { run } from './run.ts';
import { STORED } from './stored.ts';
import { target } from './target.ts';

/** A small part of `npm run fuzz`. */
const INPUTS = 20_000;
const targets = [...MESSAGES, ...STORED];
const shares = targets.reduce((sum, { share }) => sum + share, 0);

describe('every input is accepted or rejected for a known reason', () => {
  test.each(targets.map((one) => [one.name, one] as const))('%s', async (_, one) => {
    const inputs = Math.ceil((INPUTS * one.share) / shares);
    const { outcomes } = await run(one, inputs, 5);
    expect(outcomes.size).toBeGreaterThan(0);
    // Inputs that are all valid or all invalid would test only half of the target.
    if (/, any|entry|job|record|configuration/.test(one.name)) expect(outcomes.size).toBeGreaterThan(1);
  });
});

describe('the inputs', () => {
  const schemas = Object.entries(wire).map(([name, schema]) => [name, schema] as const);

  test.each(schemas)('of %s that should be valid are valid', (_, schema) => {
    const compiled = Compile(schema);
    for (const value of fc.sample(valid(schema), { numRuns: 100, seed: 1 })) {
      const parsed: unknown = JSON.parse(JSON.stringify(value));
      expect(compiled.Check(parsed), JSON.stringify(parsed)).toBe(true);
    }
  });

  test.each(schemas)('of %s that are nearly valid omit and corrupt every field', (_, schema) => {
    const fields = Object.keys('properties' in schema ? schema.properties : {});
    const samples = fc.sample(nearlyValid(schema), { numRuns: 1_000, seed: 1 });
    for (const field of fields) {
      const of = samples.filter((value) => typeof value === 'object' && value !== null);
      expect(of.some((value) => !Object.hasOwn(value as object, field))).toBe(true);
      const { properties } = schema as unknown as { properties: Record<string, typeof schema> };
      const right = Compile(properties[field]!);
      expect(of.some((v) => Object.hasOwn(v as object, field) && !right.Check((v as never)[field]))).toBe(
        true,
      );
    }
  });
});

test('a fault is reported with its seed', async () => {
  const faulty = target('faulty', 1, valid(wire.UPDATED), (value) => {
    if ((value as { droplet: unknown }).droplet === '__proto__') throw new Error('tripped');
    return 'ok';
  });
  await expect(run(faulty, 1_000, 1)).rejects.toThrow(/seed: 1[\s\S]*__proto__/);
});
