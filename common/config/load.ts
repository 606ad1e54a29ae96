/** Reads the configuration file into `Settings`. Reports all problems together, and no secret in any of them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { distance } from 'fastest-levenshtein';
import { isScalar, LineCounter, parseDocument } from 'yaml';
import { conflicts, tlsConflicts } from './checks/conflicts.ts';
import { crossChecks, type ReadValues } from './checks/cross-checks.ts';
import { OPTIONS, type Option, type Path, type ValueOf } from './options.ts';
import { type Raw, shown } from './parsers/parsers.ts';
import { hasSeveralLogins, type Settings, toSettings } from './settings.ts';

/** The configuration is invalid (exit code 78). */
export class ConfigError extends Error {
  /** One line for each problem. */
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
  /** One line each. */
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
  const reader = new ConfigReader(path.basename(file));
  reader.readSection(readYaml(content, file), []);
  for (const [path, key] of Object.entries(OPTIONS) as [Path, Option<unknown>][]) {
    const value = key.env === undefined ? undefined : env[key.env];
    if (value !== undefined && value !== '') reader.readEnvironment(path, key, value);
  }
  return reader.finish();
}

interface Yaml {
  value: Record<string, unknown>;
  /** The scalar at a path as it is in the file. */
  source(path: readonly string[]): string | undefined;
}

function readYaml(content: string, file: string): Yaml {
  const lineCounter = new LineCounter();
  // YAML 1.1, as HM 2.0's files are: 1_000 is a number and `yes` is true.
  const document = parseDocument(content, { version: '1.1', lineCounter, prettyErrors: false });
  const broken = document.errors[0];
  if (broken !== undefined) {
    // The parser's own message may quote the line, and a password in it.
    const { line, col } = lineCounter.linePos(broken.pos[0]);
    const problem = broken.code.toLowerCase().replaceAll('_', ' ');
    throw new ConfigError([`${file}: is not valid YAML: line ${line}, column ${col}: ${problem}`]);
  }
  let value: unknown;
  try {
    value = document.toJS() ?? {};
  } catch (cause) {
    throw new ConfigError([`${file}: is not valid YAML: an alias has no anchor`], { cause });
  }
  if (containsItself(value, [])) {
    throw new ConfigError([`${file}: is not valid YAML: an alias refers to a value that contains it`]);
  }
  if (!isSection(value)) throw new ConfigError([`${file}: is not a YAML mapping of keys to values`]);
  return {
    value,
    source: (path) => {
      const node = document.hasIn(path) ? document.getIn(path, true) : undefined;
      return isScalar(node) ? node.source : undefined;
    },
  };
}

/** As in `a: &x [*x]`. */
function containsItself(value: unknown, within: readonly unknown[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return (
    within.includes(value) || Object.values(value).some((part) => containsItself(part, [...within, value]))
  );
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isKey(path: string): path is Path {
  return Object.hasOwn(OPTIONS, path);
}

/** Keys and sections, except keys without a meaning any more. */
const SPELLINGS = [
  ...new Set(
    PATHS.filter((path) => !('unused' in OPTIONS[path])).flatMap((path) => {
      const parts = path.split('.');
      return parts.map((_, i) => parts.slice(0, i + 1).join('.'));
    }),
  ),
];

/** By Levenshtein distance. The same key in another section has the distance 1. */
function nearest(unknown: string): string {
  const last = (path: string) => path.slice(path.lastIndexOf('.') + 1);
  const distanceTo = (path: string) =>
    Math.min(distance(unknown, path), distance(last(unknown), last(path)) + 1);
  return SPELLINGS.reduce((best, path) => (distanceTo(path) < distanceTo(best) ? path : best));
}

/** Collects values, problems and warnings. */
class ConfigReader {
  readonly #name: string;
  readonly #values = new Map<Path, unknown>();
  readonly #problems = new Map<string, string>();
  readonly #warnings: string[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  readSection(yaml: Yaml, above: readonly string[], section = yaml.value): void {
    for (const [name, value] of Object.entries(section)) {
      const parts = [...above, name];
      const path = parts.join('.');
      const hasKeys = PATHS.some((known) => known.startsWith(`${path}.`));
      if (isKey(path)) {
        const source = yaml.source(parts);
        this.#readValue(path, path, { value, ...(source === undefined ? {} : { source }) });
      } else if (!hasKeys) {
        this.#warn(path, `unknown key, ignored; the nearest known one is ${nearest(path)}`);
      } else if (isSection(value)) {
        this.readSection(yaml, parts, value);
      } else if (value !== null) {
        const secret = PATHS.some((known) => known.startsWith(`${path}.`) && 'secret' in OPTIONS[known]);
        this.#problem(path, `expected a mapping of keys to values, got ${shown(value, secret)}`);
      }
    }
  }

  /** The environment overrides the file, also a wrong value there. */
  readEnvironment(path: Path, key: Option<unknown>, value: string): void {
    this.#problems.delete(path);
    this.#values.delete(path);
    this.#readValue(path, key.env ?? path, { value });
    if (path !== 'redis.url') return;
    for (const other of PATHS.filter((known) => /^redis\.(cluster$|sentinel\.)/.test(known))) {
      this.#problems.delete(other);
      this.#values.delete(other);
    }
  }

  #readValue(path: Path, label: string, raw: Raw): void {
    const key: Option<unknown> = OPTIONS[path];
    if (key.unused === 'warn') this.#warn(path, `no longer needed, ignored (${key.meaning})`);
    // A key without a value counts as absent.
    if (key.unused !== undefined || raw.value === null || raw.value === undefined) return;
    const value = key.parser.parse(raw);
    if (value !== undefined) this.#values.set(path, value);
    else
      this.#problem(
        path,
        `expected ${key.parser.expected}, got ${shown(raw.value, key.secret === true)}`,
        label,
      );
  }

  finish(): { settings: Settings; warnings: string[] } {
    const values: ReadValues = {
      get: (path) => this.#values.get(path),
      isGiven: (path) => this.#values.has(path) || this.#problems.has(path),
    };
    for (const [path, problem] of crossChecks(values)) this.#problem(path, problem);
    if (this.#problems.size > 0) throw new ConfigError([...this.#problems.values()]);
    const get = <P extends Path>(path: P) => (this.#values.get(path) ?? OPTIONS[path].default) as ValueOf<P>;
    if (hasSeveralLogins(get('mbus'))) {
      this.#warn('mbus', 'the URLs have different logins; the first login is used for all');
    }
    const settings = toSettings(get, (path) => this.#values.has(path));
    for (const [path, warning] of [...conflicts(settings), ...tlsConflicts(settings, Date.now())])
      this.#warn(path, warning);
    return { settings, warnings: this.#warnings };
  }

  #problem(path: string, problem: string, label = path): void {
    this.#problems.set(path, `${label === path ? this.#name : 'environment'}: ${label}: ${problem}`);
  }

  #warn(path: string, warning: string): void {
    this.#warnings.push(`${this.#name}: ${path}: ${warning}`);
  }
}
