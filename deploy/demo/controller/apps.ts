import { readFileSync, statSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { parse } from 'yaml';

/** What the demo's user wants of one app. */
export interface App {
  /** Also its droplet id. */
  name: string;
  command: string;
  instances: number;
  state: 'STARTED' | 'STOPPED';
  version: string;
  memoryMb: number;
}

/** The apps file says something that no app is. The message has one line for each problem. */
export class AppsFileError extends Error {}

const MEMORY_MB = 64;
/** The largest that an index may be is 65535 (contract: bounds); far more than a demo can run. */
const INSTANCES_AT_MOST = 1000;

const AppEntry = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9_.-]+$' }),
    command: Type.String({ minLength: 1 }),
    instances: Type.Optional(Type.Integer({ minimum: 0, maximum: INSTANCES_AT_MOST })),
    state: Type.Optional(Type.Union([Type.Literal('STARTED'), Type.Literal('STOPPED')])),
    version: Type.Optional(Type.Union([Type.String({ minLength: 1, maxLength: 64 }), Type.Number()])),
    memory: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { additionalProperties: false },
);
const appsFile = Compile(Type.Object({ apps: Type.Array(AppEntry) }, { additionalProperties: false }));

/**
 * Reads the text of an apps file.
 *
 * @throws AppsFileError when it is no YAML, an app does not fit, or two have the same name
 */
export function parseApps(text: string): App[] {
  const value = parseYaml(text);
  if (!appsFile.Check(value)) throw new AppsFileError(problems(value).join('\n'));
  const apps = value.apps.map(
    (entry): App => ({
      name: entry.name,
      command: entry.command,
      instances: entry.instances ?? 1,
      state: entry.state ?? 'STARTED',
      version: String(entry.version ?? '1'),
      memoryMb: entry.memory ?? MEMORY_MB,
    }),
  );
  const names = apps.map((app) => app.name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new AppsFileError(`apps: two have the name "${twice}"`);
  return apps;
}

function parseYaml(text: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    // Its further lines show the place in the text.
    const [reason] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw new AppsFileError(reason, { cause });
  }
}

function problems(value: unknown): string[] {
  const lines = appsFile.Errors(value).map((error) => {
    const where = error.instancePath.slice(1).replaceAll('/', '.') || 'the file';
    return `${where}: ${error.keyword === 'boolean' ? 'is no known key' : error.message}`;
  });
  return [...new Set(lines)];
}

/** Names of the apps that are new, different or gone. */
export function changedApps(before: readonly App[], after: readonly App[]): string[] {
  const text = (apps: readonly App[]) => new Map(apps.map((app) => [app.name, JSON.stringify(app)]));
  const [old, now] = [text(before), text(after)];
  const names = new Set([...old.keys(), ...now.keys()]);
  return [...names].filter((name) => old.get(name) !== now.get(name));
}

export interface WatchOptions {
  file: string;
  /** The file as it reads now; called only when its text has changed. */
  onApps(apps: App[]): void;
  /** Its latest text is no apps file; the good one before it stands. */
  onProblem(problem: string): void;
}

/** An editor writes in several steps: look when it has been quiet for this long. */
const QUIET_MS = 60;
/** Not every file system tells of changes. */
const POLL_MS = 1_000;

/**
 * Watches the file from now on; its present text counts as known. The folder is watched, not the file:
 * editors put a new file in the old one's place.
 *
 * @returns ends the watching
 */
export function watchApps({ file, onApps, onProblem }: WatchOptions): () => void {
  let known: string | Error = readOr(file, (reason) => reason);
  let quiet: NodeJS.Timeout | undefined;

  const look = () => {
    const text = readOr(file, (reason) => reason);
    if (text === known || (text instanceof Error && known instanceof Error)) return;
    known = text;
    try {
      if (text instanceof Error) throw text;
      onApps(parseApps(text));
    } catch (error) {
      onProblem(error instanceof Error ? error.message : String(error));
    }
  };
  const soon = () => {
    clearTimeout(quiet);
    quiet = setTimeout(look, QUIET_MS);
  };
  const watcher = watch(dirname(file), (_, name) => {
    if (name === null || name === basename(file)) soon();
  });
  // The folder was removed: the poll tells that the file cannot be read.
  watcher.on('error', () => watcher.close());
  let mtimeMs = modified(file);
  const poll = setInterval(() => {
    if (modified(file) === mtimeMs) return;
    mtimeMs = modified(file);
    soon();
  }, POLL_MS);
  return () => {
    watcher.close();
    clearInterval(poll);
    clearTimeout(quiet);
  };
}

function modified(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

function readOr<T>(file: string, otherwise: (reason: Error) => T): string | T {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return otherwise(error as Error);
  }
}
