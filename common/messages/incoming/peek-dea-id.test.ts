import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { peekDeaId } from './peek-dea-id.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);
const json = (value: unknown) => utf8(JSON.stringify(value));

describe("a DEA's guid at the end of a raw heartbeat", () => {
  it.each([
    '{"droplets":[],"dea":"dea-1"}',
    '{"droplets": [],\n  "dea" : "dea-1" }\n',
    '{"dea":"dea-1"}',
    '{"dea":"other","dea":"dea-1"}',
    `{"droplets":[${'{"droplet":"x"},'.repeat(100)}{}],"dea":"dea-1"}`,
    `{"x":"${'é'.repeat(190)}","dea":"dea-1"}`,
  ])('is read: %s', (text) => {
    expect(peekDeaId(utf8(text))).toBe('dea-1');
    expect(JSON.parse(text).dea).toBe('dea-1');
  });

  it('may be as long as an id', () => {
    const dea = 'x'.repeat(256);
    expect(peekDeaId(json({ droplets: [{ droplet: 'd-1' }], dea }))).toBe(dea);
    expect(peekDeaId(json({ droplets: [{ droplet: 'd-1' }], dea: `${dea}x` }))).toBeUndefined();
  });

  it.each([
    '',
    '{}',
    '"dea":"x"}',
    '{"dea":"x","droplets":[]}',
    '{"dea":5}',
    '{"dea":""}',
    '{"dea":"a\\u0041"}',
    '{"dea":"é"}',
    '{"droplets":[{"dea":"x"}]}',
    '{"a":{"dea":"x"}}',
    '{"a":"\\"dea\\":\\"x"}',
    '{"a":",\\"dea\\":\\"x"}',
    '{"my-dea":"x"}',
    '{"dea":"x"}}',
    '{"dea":"x"',
  ])('is not read, so the heartbeat must be parsed: %s', (text) => {
    expect(peekDeaId(utf8(text))).toBeUndefined();
  });

  it('is the parsed one', () => {
    const value = fc.oneof(fc.string(), fc.jsonValue(), fc.constantFrom('"dea":"x"}', 'dea', ',"dea":"x'));
    const message = fc.array(fc.tuple(fc.constantFrom('dea', 'droplets', 'x', '{"dea"'), value));
    fc.assert(
      fc.property(message, (pairs) => {
        const bytes = json(Object.fromEntries(pairs));
        const dea = peekDeaId(bytes);
        if (dea !== undefined) expect(dea).toBe(JSON.parse(new TextDecoder().decode(bytes)).dea);
      }),
    );
  });
});
