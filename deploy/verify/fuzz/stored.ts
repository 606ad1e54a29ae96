/** Data that may have been edited by hand: records, holds and jobs in Redis, and the configuration. */
import fc, { type Arbitrary } from 'fast-check';
import { decide } from '../../../analyzer/decide/decide.ts';
import { ConfigError, parseConfig } from '../../../common/config/load.ts';
import { OPTIONS } from '../../../common/config/options.ts';
import { defaultSettings } from '../../../common/config/settings.ts';
import { APP_STATES, PACKAGE_STATES } from '../../../common/model/instance-states.ts';
import { EXIT_REASONS } from '../../../common/model/reasons.ts';
import {
  JobDataError,
  readSlicesJob,
  readStartJob,
  readStopJob,
  SlicesJobSchema,
  StartJobSchema,
  StopJobSchema,
} from '../../../common/queues/queues.ts';
import { holdsFrom, MassDeleteSchema, MassLossSchema } from '../../../common/redis/fleet/holds/holds.ts';
import { FIELD } from '../../../common/redis/keys.ts';
import { decodeDroplet } from '../../../common/redis/records/record-codec.ts';
import { RecordError } from '../../../common/redis/records/record-error.ts';
import { OutcomeSchema, SlotSchema, StopSchema } from '../../../common/redis/records/record-json.ts';
import { bytes, nearlyValid, oddValue, valid } from './arbitrary.ts';
import { check, type Target, target } from './target.ts';

const { policy } = defaultSettings();
const NOW = 1_700_000_000_000;
const text = (value: unknown) => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
const mangled = (arbitrary: Arbitrary<string>) =>
  fc.oneof(
    { weight: 6, arbitrary },
    { weight: 1, arbitrary: fc.tuple(arbitrary, fc.nat(60)).map(([value, at]) => value.slice(0, at)) },
    {
      weight: 2,
      arbitrary: fc.tuple(arbitrary, fc.nat(12), oddValue).map(([value, at, by]) => {
        const parts = value.split(' ');
        parts[at % parts.length] = text(by);
        return parts.join(' ');
      }),
    },
    { weight: 1, arbitrary: oddValue.map(text) },
  );

const small = fc.nat(3);
const time = fc.oneof(fc.integer({ min: NOW - 100_000, max: NOW + 1_000 }), fc.constant(NOW));
const state = fc.constantFrom('STARTING', 'RUNNING', 'CRASHED', 'EVACUATING', 'ODD');
const reason = fc.constantFrom(...EXIT_REASONS);

/** For every field of a record, a value as the health manager writes it. A new field must be added here. */
const VALUES: Record<keyof typeof FIELD, Arbitrary<string>> = {
  rev: small.map(String),
  seen: time.map(String),
  settlements: small.map(String),
  desired: fc
    .tuple(fc.constantFrom(...APP_STATES), small, fc.constantFrom(...PACKAGE_STATES))
    .map(([s, n, p]) => `${s} ${n}x ${p} version v 256M updated 1398000000`),
  gone: time.map(String),
  listed: time.map(String),
  versionSince: time.map(String),
  rebuilt: time.map(String),
  undesired: time.map(String),
  updated: time.map(String),
  instance: fc
    .tuple(small, state, time, fc.boolean())
    .map(([n, s, at, last]) => `${n} ${s} on dea version v since 1 first ${at}${last ? ` last ${at}` : ''}`),
  fence: time.map(String),
  trace: time.map((at) => `${at} 00-0af7651916cd43dd8448eb211c80319c-00000000000000a1-01`),
  exit: fc
    .tuple(small, reason, time)
    .map(([n, r, at]) => `${n} ${r} version v at ${at} crashed - status ${n} because killed n ${n}`),
  exits: small.map(String),
  handled: small.map(String),
  handledUpdate: time.map(String),
  slot: fc.oneof(valid(SlotSchema), nearlyValid(SlotSchema)).map(text),
  stop: fc.oneof(valid(StopSchema), nearlyValid(StopSchema)).map(text),
  retry: time.map(String),
  outcome: fc.oneof(valid(OutcomeSchema), nearlyValid(OutcomeSchema)).map(text),
};

const field = fc.constantFrom(...(Object.keys(FIELD) as (keyof typeof FIELD)[])).chain((name) =>
  fc.tuple(fc.constantFrom('i', 'j', '0', '__proto__', ''), mangled(VALUES[name])).map(([of, value]) => {
    const known = FIELD[name];
    return [known.endsWith(':') ? known + of : known, value];
  }),
);
const oddField = fc.tuple(oddValue.map(text), oddValue.map(text));
/** Alternating names and values of fields; each field once, as in a hash. */
export const RECORD: Arbitrary<string[]> = fc
  .array(fc.oneof({ weight: 30, arbitrary: field }, { weight: 1, arbitrary: oddField }), { maxLength: 8 })
  .map((fields) => [...new Map(fields as [string, string][])].flat());

const HOLDS = holdsFrom({}, NOW, policy);

const record = target('record of a droplet', 120, RECORD, (reply) => {
  try {
    const droplet = decodeDroplet('d', reply);
    if (droplet === undefined) return 'empty';
    const open = { ...HOLDS, actualNotFresh: false, desiredUnavailable: false };
    for (const holds of [HOLDS, open])
      decide(droplet, new Map([['dea', { lastHeartbeatMs: NOW }]]), holds, NOW, policy);
    return 'ok';
  } catch (error) {
    if (error instanceof RecordError) return error.field.replace(/:.*/s, ':').slice(0, 12);
    throw error;
  }
});

const hold = target(
  'state of a hold',
  40,
  fc.tuple(bytes(MassLossSchema).map(String), bytes(MassDeleteSchema).map(String)),
  ([massLoss, massDelete]) => {
    const holds = holdsFrom({ massLoss, massDelete }, NOW, policy);
    for (const dea of holds.massLossDeas) check(typeof dea === 'string', 'a late DEA that is no string');
    return holds.massDelete ? 'on' : 'off';
  },
);

const JOBS = [
  ['start', StartJobSchema, readStartJob],
  ['stop', StopJobSchema, readStopJob],
  ['slices', SlicesJobSchema, readSlicesJob],
] as const;
const jobs = JOBS.map(([name, schema, read]) =>
  target(`job: ${name}`, 15, fc.oneof(valid(schema), nearlyValid(schema)), (data) => {
    try {
      read({ id: '1', queueName: name, data } as Parameters<typeof read>[0]);
      return 'ok';
    } catch (error) {
      if (error instanceof JobDataError) return 'data';
      throw error;
    }
  }),
);

const SECRET = 's3cr3t-to-be-kept';
const yamlValue = (path: string): Arbitrary<string> => {
  const key = OPTIONS[path as keyof typeof OPTIONS];
  const fitting = fc.constant(JSON.stringify(key.default) ?? '~');
  const secret = fc.constantFrom(
    `"redis://u:${SECRET}@h:x"`,
    `"nats://${SECRET}@"`,
    `"http://u:${SECRET}@h/ h"`,
    `{${SECRET}: 1}`,
    `[${SECRET}]`,
    `"${SECRET}"`,
  );
  const plain = oddValue.map((value) => JSON.stringify(value) ?? '~');
  const raw = fc.constantFrom(
    '!!binary x',
    '&a [*a]',
    '*b',
    '|\n    x',
    '1_000',
    '0o17',
    'yes',
    '- 1',
    '{',
    '"',
  );
  return 'secret' in key ? fc.oneof(secret, plain, raw, fitting) : fc.oneof(plain, raw, fitting);
};
const yamlLine = fc.constantFrom(...Object.keys(OPTIONS)).chain((path) =>
  yamlValue(path).map((value) => {
    const parts = path.split('.');
    return `${parts.map((part, depth) => `${'  '.repeat(depth)}${part}:`).join('\n')} ${value}`;
  }),
);
const yaml = target(
  'configuration',
  60,
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.array(yamlLine, { minLength: 1, maxLength: 4 }).map((lines) => lines.join('\n')),
    },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  ),
  (content) => {
    try {
      const { warnings } = parseConfig(content, '/etc/health_manager.yml', {});
      for (const warning of warnings)
        check(!warning.includes(SECRET), `the warning shows a secret: ${warning}`);
      return 'ok';
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      check(error.lines.length > 0, 'refused without a reason');
      check(!error.message.includes(SECRET), `the error shows a secret: ${error.message}`);
      return /is not (valid|a) YAML/.test(error.message) ? 'no YAML' : 'refused';
    }
  },
);

export const STORED: readonly Target[] = [record, hold, ...jobs, yaml];
