import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { UnavailableError } from './unavailable-error.ts';

/** Where systems keep servers that are not on everybody's PATH (Debian: sbin; macOS: Homebrew). */
const MORE_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

/** The absolute path of a program, or undefined. */
export function findProgram(name: string, path = process.env.PATH ?? ''): string | undefined {
  const folders = [...path.split(delimiter).filter((folder) => folder !== ''), ...MORE_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** @throws UnavailableError that says how to get it, and what makes it needless */
export function requireProgram(name: 'redis-server' | 'nats-server'): string {
  const found = findProgram(name);
  if (found) return found;
  const instead = name === 'redis-server' ? 'redis.url (or REDIS_URL)' : 'mbus (or MBUS_URI)';
  throw new UnavailableError(
    `${name}: not on the PATH; install it (deploy/setup.sh --servers; apt-get install ${name}; ` +
      `brew install ${name === 'redis-server' ? 'redis' : name}), or set ${instead} to a server of your own`,
  );
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false; // not there, or not ours to run: the next folder may have it
  }
}
