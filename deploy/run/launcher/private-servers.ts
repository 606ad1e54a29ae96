import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { lockOwner } from './folder-lock.ts';

/** The URLs of a launcher's private servers, with their logins. */
export interface PrivateServers {
  /** `redis://127.0.0.1:<port>` */
  redis?: string;
  /** `nats://127.0.0.1:<port>` */
  nats?: string;
}

const FILE = 'servers.json';

const Servers = Compile(
  Type.Object({
    launcher: Type.Integer(),
    redis: Type.Optional(Type.String()),
    nats: Type.Optional(Type.String()),
  }),
);

/** Writes the URLs into the launcher's folder, where other `hm` commands find them. */
export function writePrivateServers(dir: string, servers: PrivateServers): void {
  const file = join(dir, FILE);
  const text = `${JSON.stringify({ ...servers, launcher: process.pid })}\n`;
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** The servers of the launcher that has this folder now. Undefined when none has: an earlier one's file is stale. */
export function readPrivateServers(dir: string): PrivateServers | undefined {
  const launcher = lockOwner(dir);
  if (launcher === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(join(dir, FILE), 'utf8');
  } catch {
    return undefined; // the launcher is still starting them
  }
  const value: unknown = JSON.parse(text);
  return Servers.Check(value) && value.launcher === launcher ? value : undefined;
}
