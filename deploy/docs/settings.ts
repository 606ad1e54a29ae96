import { OPTIONS, type Option } from '../../common/config/options.ts';
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
    table(
      ['key', 'expected', 'default', 'what it is', 'why this default'],
      used.map(([path, key]) => [
        `${code(path)}${key.env === undefined ? '' : ` (environment: ${code(key.env)})`}`,
        plain(key.parser.expected),
        code(defaultOf(key.default)),
        plain(key.meaning),
        plain(key.why),
      ]),
    ),
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

function defaultOf(value: unknown): string {
  if (value === undefined) return '';
  return Array.isArray(value)
    ? value.map((url: NatsUrl) => `nats://${url.server}`).join(', ')
    : String(value);
}
