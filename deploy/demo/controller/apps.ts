import { readFileSync, statSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { parse } from 'yaml';

/** One app of the apps file. */
export interface App {
  /** The health manager's droplet id, too. */
  name: string;
  command: string;
  instances: number;
  state: 'STARTED' | 'STOPPED';
  version: string;
  memoryMb: number;
}

/** The apps file is invalid. The message has one line for each problem. */
export class AppsFileError extends Error {}

const MEMORY_MB = 64;
/** More than a demo can run; the contract allows indices up to 65535. */
const MAX_INSTANCES = 1000;

const AppEntry = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9_.-]+$' }),
    command: Type.String({ minLength: 1 }),
    instances: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_INSTANCES })),
    state: Type.Optional(Type.Union([Type.Literal('STARTED'), Type.Literal('STOPPED')])),
    version: Type.Optional(Type.Union([Type.String({ minLength: 1, maxLength: 64 }), Type.Number()])),
    memory: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { additionalProperties: false },
);
const appsFile = Compile(Type.Object({ apps: Type.Array(AppEntry) }, { additionalProperties: false }));

/**
 * Parses the text of an apps file.
 *
 * @throws AppsFileError when the text is no YAML, an app is invalid, or two apps have the same name
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
  if (twice !== undefined) throw new AppsFileError(`apps: two apps have the name "${twice}"`);
  return apps;
}

function parseYaml(text: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    // The further lines of the message quote the text.
    const [reason] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw new AppsFileError(reason, { cause });
  }
}

function problems(value: unknown): string[] {
  const lines = appsFile.Errors(value).map((error) => {
    const where = error.instancePath.slice(1).replaceAll('/', '.') || 'the file';
    return `${where}: ${error.keyword === 'boolean' ? 'unknown key' : error.message}`;
  });
  return [...new Set(lines)];
}

/** Names of the apps that are new, changed or deleted. */
export function changedApps(before: readonly App[], after: readonly App[]): string[] {
  const text = (apps: readonly App[]) => new Map(apps.map((app) => [app.name, JSON.stringify(app)]));
  const [old, now] = [text(before), text(after)];
  const names = new Set([...old.keys(), ...now.keys()]);
  return [...names].filter((name) => old.get(name) !== now.get(name));
}

export interface WatchOptions {
  file: string;
  /** Called with the new apps when the text has changed. */
  onApps(apps: App[]): void;
  /** Called when the latest text is invalid; the last valid apps stay in force. */
  onProblem(problem: string): void;
}

/** An editor writes in several steps: the file is read when it has not changed for this long. */
const DEBOUNCE_MS = 60;
/** Not every file system reports changes. */
const POLL_MS = 1_000;

/**
 * Watches the file for changes of its present text. It watches the folder, because editors replace a file
 * with a new one instead of writing it.
 *
 * @returns ends the watching
 */
export function watchApps({ file, onApps, onProblem }: WatchOptions): () => void {
  let known: string | Error = readText(file);
  let debounce: NodeJS.Timeout | undefined;

  const read = () => {
    const text = readText(file);
    if (text === known || (text instanceof Error && known instanceof Error)) return;
    known = text;
    try {
      if (text instanceof Error) throw text;
      onApps(parseApps(text));
    } catch (error) {
      onProblem(error instanceof Error ? error.message : String(error));
    }
  };
  const readSoon = () => {
    clearTimeout(debounce);
    debounce = setTimeout(read, DEBOUNCE_MS);
  };
  const watcher = watch(dirname(file), (_, name) => {
    if (name === null || name === basename(file)) readSoon();
  });
  // The folder was removed: the poll reports that the file cannot be read.
  watcher.on('error', () => watcher.close());
  let mtimeMs = modified(file);
  const poll = setInterval(() => {
    if (modified(file) === mtimeMs) return;
    mtimeMs = modified(file);
    readSoon();
  }, POLL_MS);
  return () => {
    watcher.close();
    clearInterval(poll);
    clearTimeout(debounce);
  };
}

function modified(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

function readText(file: string): string | Error {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return error as Error;
  }
}
