import {
  accessSync,
  chmodSync,
  constants,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { processStart } from './process-table.ts';
import { UnavailableError } from './unavailable-error.ts';

const LOCK_FILE = 'launcher.json';

/**
 * Makes this process the only launcher with this folder. The lock of a process that is gone (kill -9, power cut)
 * is taken over. The owner is identified by pid and start time, because another program may have its pid by now.
 *
 * @returns releases the folder
 * @throws UnavailableError while another launcher has it
 */
export function lockFolder(dir: string): () => void {
  makeFolder(dir);
  const lock = join(dir, LOCK_FILE);
  const own = join(dir, `launcher.${process.pid}`);
  const content = JSON.stringify({ pid: process.pid, started: processStart(process.pid) });
  writeFileSync(own, content, { mode: 0o600 });
  try {
    while (!link(own, lock)) {
      const found = read(lock);
      if (found === undefined) continue; // released since the link failed
      const owner = parse(found);
      if (owner && isRunning(owner)) {
        throw new UnavailableError(`${dir}: in use by another deploy/hm, pid ${owner.pid}`);
      }
      removeStale(lock, found);
    }
  } finally {
    rmSync(own, { force: true });
  }
  return () => {
    if (read(lock) === content) rmSync(lock, { force: true });
  };
}

/** Only this user may read the folder: the servers' logins and data are in it. */
function makeFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    chmodSync(dir, 0o700);
    accessSync(dir, constants.W_OK);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new UnavailableError(
      `${dir}: expected a folder that this user can write, found ${code}: move the configuration file to such a folder, or name a Redis and a NATS in it`,
    );
  }
}

/** The pid of the launcher that has this folder; undefined when none has. */
export function lockOwner(dir: string): number | undefined {
  const found = read(join(dir, LOCK_FILE));
  const owner = found === undefined ? undefined : parse(found);
  return owner && isRunning(owner) ? owner.pid : undefined;
}

interface Owner {
  pid: number;
  started: unknown;
}

function isRunning({ pid, started }: Owner): boolean {
  return processStart(pid) === started;
}

/** True when the name was free. A hard link is atomic: the lock file is never seen half written. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the lock with this content; a lock that another launcher has written since is put back. */
function removeStale(lock: string, content: string): void {
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside);
  } catch {
    return; // another launcher has removed it
  }
  if (read(aside) !== content) link(aside, lock);
  rmSync(aside, { force: true });
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function parse(text: string): Owner | undefined {
  try {
    const owner: unknown = JSON.parse(text);
    if (typeof owner !== 'object' || owner === null || !('pid' in owner) || !('started' in owner))
      return undefined;
    return typeof owner.pid === 'number' ? { pid: owner.pid, started: owner.started } : undefined;
  } catch {
    return undefined; // a file cut off by a power failure has no owner
  }
}
