import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { claimantOf } from './folder-lock.ts';

/** Where the private servers of a launcher answer. */
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

/** Leaves word in the launcher's folder of where its servers are, for commands that are run beside it. */
export function writePrivateServers(dir: string, servers: PrivateServers): void {
  const file = join(dir, FILE);
  writeFileSync(`${file}.new`, `${JSON.stringify({ ...servers, launcher: process.pid })}\n`);
  renameSync(`${file}.new`, file);
}

/** The servers of the launcher that has this folder now; undefined if none has: what a former one left is of no use. */
export function readPrivateServers(dir: string): PrivateServers | undefined {
  const launcher = claimantOf(dir);
  if (launcher === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(join(dir, FILE), 'utf8');
  } catch {
    return undefined; // it is only just starting them
  }
  const value: unknown = JSON.parse(text);
  return Servers.Check(value) && value.launcher === launcher ? value : undefined;
}
