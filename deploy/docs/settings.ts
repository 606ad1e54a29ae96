import { OPTIONS, type Option } from '../../common/config/options.ts';
import { OLD } from '../../common/config/parsers/option-kinds.ts';
import type { NatsUrl } from '../../common/config/parsers/parsers.ts';
import { code, GENERATED, plain, table } from './markdown.ts';

/** `settings.md`: every key of the configuration. */
export function settingsPage(): string {
  const keys = Object.entries(OPTIONS) as [string, Option<unknown>][];
  const used = keys.filter(([, key]) => key.unused === undefined);
  const unused = keys.filter(([, key]) => key.unused !== undefined);
  return [
    GENERATED('`common/config/options.ts`'),
    '# Settings',
    '',
    'The keys of `health_manager.yml`: the file given with `--config`, else `health_manager.yml` in',
    '`$CLOUD_FOUNDRY_CONFIG_PATH`, else the one in the working directory. `a.b` is the key `b` in the section `a`. A',
    'number in quotes is a number, and fractions of seconds are allowed. An environment variable wins over the file.',
    '',
    'A value that does not fit ends the start with exit code 78 and a line for each problem; an unknown key is warned',
    'about, with the known one that is nearest to it. `hm check --config FILE` says both without starting anything.',
    '',
    'Where no reason for a default is given, it is that of HealthManager 2.0, which existing files rely on.',
    '',
    ...THEMES.flatMap(([title, prefixes]) => {
      const of = used.filter(([path]) => themeOf(path) === prefixes);
      return [`## ${title}`, '', keysTable(of)];
    }),
    '## Accepted, without effect',
    '',
    'Keys of older files. They are read so that such a file loads unchanged.',
    '',
    table(
      ['key', 'what it was, or what to use', 'warned about'],
      unused.map(([path, { meaning, unused: how }]) => [
        code(path),
        plain(meaning),
        how === 'warn' ? 'yes' : 'no',
      ]),
    ),
  ].join('\n');
}

type Key = [path: string, key: Option<unknown>];

/** The keys by what they are for: the beginnings of their paths. The first theme that fits has the key. */
const THEMES: readonly [title: string, prefixes: readonly string[]][] = [
  ['NATS', ['mbus', 'nats.', 'cc_partition']],
  ['The controller', ['bulk_api.', 'dialect', 'cc_internal_url', 'internal_api.', 'heartbeat_api.']],
  ['Redis', ['redis.', 'slices']],
  [
    'What is missing, and when',
    ['intervals.desired', 'intervals.postpone', 'intervals.bulk', 'intervals.droplet', 'audit_rate'],
  ],
  [
    'Crashes and restarts',
    [
      'intervals.flapping',
      'intervals.min_',
      'intervals.max_',
      'intervals.delay',
      'intervals.giveup',
      'probe_crashed_apps',
    ],
  ],
  ['How fast starts leave', ['intervals.request_queue', 'intervals.queue_batch_size']],
  ['Holds', ['mass_loss.', 'mass_delete.']],
  ['Dashboard and HTTP', ['status.', 'dashboard.', 'webhooks']],
  ['The processes', ['']],
];

function themeOf(path: string): readonly string[] | undefined {
  return THEMES.find(([, prefixes]) => prefixes.some((prefix) => path.startsWith(prefix)))?.[1];
}

function keysTable(keys: readonly Key[]): string {
  return table(
    ['key', 'expected', 'default', 'what it is', 'why this default'],
    keys.map(([path, key]) => [
      `${code(path)}${key.env === undefined ? '' : ` (environment: ${code(key.env)})`}`,
      plain(key.parser.expected),
      code(defaultOf(key.default)),
      plain(key.meaning),
      key.why === OLD ? '' : plain(key.why),
    ]),
  );
}

function defaultOf(value: unknown): string {
  if (value === undefined) return '';
  return Array.isArray(value)
    ? value.map((url: NatsUrl) => `nats://${url.server}`).join(', ')
    : String(value);
}
