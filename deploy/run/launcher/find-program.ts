import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { UnavailableError } from './unavailable-error.ts';

/** Folders of servers that may be missing in the PATH of a user (Debian: sbin; macOS: Homebrew). */
const MORE_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

/** The absolute path of a program; undefined when there is none. */
export function findProgram(name: string, path = process.env.PATH ?? ''): string | undefined {
  const folders = [...path.split(delimiter).filter((folder) => folder !== ''), ...MORE_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** @throws UnavailableError that names the ways to install it, and the setting that makes it unnecessary */
export function requireProgram(name: 'redis-server' | 'nats-server'): string {
  const found = findProgram(name);
  if (found) return found;
  const setting = name === 'redis-server' ? 'redis.url (or REDIS_URL)' : 'mbus (or MBUS_URI)';
  throw new UnavailableError(
    `${name}: not on the PATH; install it (deploy/setup.sh --servers; apt-get install ${name}; ` +
      `brew install ${name === 'redis-server' ? 'redis' : name}), or set ${setting} to a server of your own`,
  );
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false; // missing or not executable
  }
}
