/**
 * Reads the configuration: file -> YAML -> every key by its kind -> `Settings`. All problems are found at
 * once, and no line of them holds a secret.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { distance } from 'fastest-levenshtein';
import { isScalar, LineCounter, parseDocument } from 'yaml';
import { OPTIONS, type Option, type Path, type ValueOf } from './options.ts';
import { type Raw, shown } from './parsers.ts';
import { hasSeveralLogins, type Settings, toSettings } from './settings.ts';

/** The configuration does not fit (exit code 78). */
export class ConfigError extends Error {
  /** One line for each problem, as they are to be shown. */
  readonly lines: readonly string[];

  constructor(lines: readonly string[], options?: ErrorOptions) {
    super(lines.join('\n'), options);
    this.name = 'ConfigError';
    this.lines = lines;
  }
}

export interface ConfigSource {
  /** `--config`. */
  file?: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
}

export interface LoadedConfig {
  settings: Settings;
  /** One line for each. */
  warnings: string[];
  /** The file that was read. */
  file: string;
}

const PATHS = Object.keys(OPTIONS) as Path[];
const DEFAULT_FILE = 'health_manager.yml';

/** `--config`, or `health_manager.yml` in `$CLOUD_FOUNDRY_CONFIG_PATH` or else in the working directory. */
export function configPath({ file, env, cwd }: ConfigSource): string {
  return path.resolve(cwd, file ?? path.join(env.CLOUD_FOUNDRY_CONFIG_PATH || '.', DEFAULT_FILE));
}

/** @throws ConfigError with all problems. */
export function loadConfig(source: ConfigSource): LoadedConfig {
  const file = configPath(source);
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const reason = code === 'ENOENT' ? 'no such file' : `cannot be read (${code ?? 'unknown error'})`;
    throw new ConfigError([`${file}: ${reason}`], { cause });
  }
  return { ...parseConfig(content, file, source.env), file };
}

/** @throws ConfigError with all problems. */
export function parseConfig(
  content: string,
  file: string,
  env: ConfigSource['env'],
): { settings: Settings; warnings: string[] } {
  const reading = new Reading(path.basename(file));
  reading.section(readYaml(content, file), []);
  for (const [path, key] of Object.entries(OPTIONS) as [Path, Option<unknown>][]) {
    const value = key.env === undefined ? undefined : env[key.env];
    if (value !== undefined && value !== '') reading.environment(path, key, value);
  }
  return reading.finish();
}

interface Yaml {
  value: Record<string, unknown>;
  /** The scalar at a path as it is written. */
  source(path: readonly string[]): string | undefined;
}

function readYaml(content: string, file: string): Yaml {
  const lineCounter = new LineCounter();
  // 1.1 as HM 2.0's Ruby read it: 1_000 is a number and yes is true.
  const document = parseDocument(content, { version: '1.1', lineCounter, prettyErrors: false });
  const broken = document.errors[0];
  if (broken !== undefined) {
    // Not the parser's own message: it may quote the line, and with it a password.
    const { line, col } = lineCounter.linePos(broken.pos[0]);
    const what = broken.code.toLowerCase().replaceAll('_', ' ');
    throw new ConfigError([`${file}: is no YAML: line ${line}, column ${col}: ${what}`]);
  }
  let value: unknown;
  try {
    value = document.toJS() ?? {};
  } catch (cause) {
    throw new ConfigError([`${file}: is no YAML: an alias cannot be resolved`], { cause });
  }
  if (holdsItself(value, []))
    throw new ConfigError([`${file}: is no YAML: an alias stands for what it is in`]);
  if (!isSection(value)) throw new ConfigError([`${file}: is no YAML mapping of keys to values`]);
  return {
    value,
    source: (path) => {
      const node = document.hasIn(path) ? document.getIn(path, true) : undefined;
      return isScalar(node) ? node.source : undefined;
    },
  };
}

/** `a: &x [*x]` */
function holdsItself(value: unknown, within: readonly unknown[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return within.includes(value) || Object.values(value).some((part) => holdsItself(part, [...within, value]));
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isKey(path: string): path is Path {
  return Object.hasOwn(OPTIONS, path);
}

/** Keys and sections; not those that mean nothing any more. */
const SPELLINGS = [
  ...new Set(
    PATHS.filter((path) => !('unused' in OPTIONS[path])).flatMap((path) => {
      const parts = path.split('.');
      return parts.map((_, i) => parts.slice(0, i + 1).join('.'));
    }),
  ),
];

/** By Levenshtein, but a key in the wrong section is near to the right one. */
function nearest(unknown: string): string {
  const last = (path: string) => path.slice(path.lastIndexOf('.') + 1);
  const far = (path: string) => Math.min(distance(unknown, path), distance(last(unknown), last(path)) + 1);
  return SPELLINGS.reduce((best, path) => (far(path) < far(best) ? path : best));
}

/** What has been read so far: values, problems, warnings. */
class Reading {
  readonly #name: string;
  readonly #values = new Map<Path, unknown>();
  readonly #problems = new Map<string, string>();
  readonly #warnings: string[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  section(yaml: Yaml, above: readonly string[], section = yaml.value): void {
    for (const [name, value] of Object.entries(section)) {
      const parts = [...above, name];
      const path = parts.join('.');
      const isAbove = PATHS.some((known) => known.startsWith(`${path}.`));
      if (isKey(path)) {
        const source = yaml.source(parts);
        this.#take(path, path, { value, ...(source === undefined ? {} : { source }) });
      } else if (!isAbove) {
        this.#warn(path, `unknown key, ignored; the nearest known one is ${nearest(path)}`);
      } else if (isSection(value)) {
        this.section(yaml, parts, value);
      } else if (value !== null) {
        const secret = PATHS.some((known) => known.startsWith(`${path}.`) && 'secret' in OPTIONS[known]);
        this.#problem(path, `expected a mapping of keys to values, got ${shown(value, secret)}`);
      }
    }
  }

  /** The environment wins: what the file has at the key does not count any more, be it right or wrong. */
  environment(path: Path, key: Option<unknown>, value: string): void {
    this.#problems.delete(path);
    this.#values.delete(path);
    this.#take(path, key.env ?? path, { value });
    if (path !== 'redis.url') return;
    for (const other of ['redis.cluster', 'redis.sentinel.name', 'redis.sentinel.nodes'] as const) {
      this.#problems.delete(other);
      this.#values.delete(other);
    }
  }

  #take(path: Path, label: string, raw: Raw): void {
    const key: Option<unknown> = OPTIONS[path];
    if (key.unused === 'warn') this.#warn(path, `no longer needed, ignored (${key.meaning})`);
    // A key without a value is as good as none.
    if (key.unused !== undefined || raw.value === null || raw.value === undefined) return;
    const value = key.kind.parse(raw);
    if (value !== undefined) this.#values.set(path, value);
    else
      this.#problem(
        path,
        `expected ${key.kind.expected}, got ${shown(raw.value, key.secret === true)}`,
        label,
      );
  }

  finish(): { settings: Settings; warnings: string[] } {
    this.#checkRedis();
    if (this.#problems.size > 0) throw new ConfigError([...this.#problems.values()]);
    const get = <P extends Path>(path: P) => (this.#values.get(path) ?? OPTIONS[path].default) as ValueOf<P>;
    if (hasSeveralLogins(get('mbus'))) {
      this.#warn(
        'mbus',
        'the URLs have different logins; that of the first URL that has one is used for all',
      );
    }
    const settings = toSettings(get, (path) => this.#values.has(path));
    return { settings, warnings: this.#warnings };
  }

  #checkRedis(): void {
    const has = (path: Path) => this.#values.has(path);
    const [name, nodes] = [has('redis.sentinel.name'), has('redis.sentinel.nodes')];
    const kinds = [
      ...(has('redis.url') ? ['url'] : []),
      ...(has('redis.cluster') ? ['cluster'] : []),
      ...(name || nodes ? ['sentinel'] : []),
    ];
    if (kinds.length > 1)
      this.#problem('redis', `expected one of url, cluster and sentinel, got ${kinds.join(' and ')}`);
    for (const path of ['redis.sentinel.name', 'redis.sentinel.nodes'] as const) {
      if (name !== nodes && !has(path) && !this.#problems.has(path)) {
        this.#problem(path, `expected ${OPTIONS[path].kind.expected}, got none`);
      }
    }
  }

  #problem(path: string, text: string, label = path): void {
    this.#problems.set(path, `${label === path ? this.#name : 'environment'}: ${label}: ${text}`);
  }

  #warn(path: string, text: string): void {
    this.#warnings.push(`${this.#name}: ${path}: ${text}`);
  }
}
