import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { requireProgram } from '../../../run/launcher/find-program.ts';
import { startRedisServer } from '../../../run/launcher/servers.ts';
import { Latencies } from './latency.ts';

/** The machine of a measurement, so that its figures can be compared. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGb: number;
  system: string;
  node: string;
  redis: string;
  nats: string;
  /** The median round trip of a PING to an idle Redis: the least that each step of a latency takes on this machine. */
  pingMs: number;
}

export async function thisMachine(): Promise<Machine> {
  const versionOf = (program: 'redis-server' | 'nats-server') =>
    /v?=?(\d+\.\d+\.\d+)/.exec(
      execFileSync(requireProgram(program), ['--version'], { encoding: 'utf8' }),
    )?.[1] ?? 'unknown';
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: type(),
    node: process.version,
    redis: versionOf('redis-server'),
    nats: versionOf('nats-server'),
    pingMs: await pingMs(),
  };
}

const PINGS = 500;

/** Both processes sleep between two PINGs, as they do in an idle fleet, so most of the time is the wake-up. */
async function pingMs(): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'hm-bench-'));
  const server = await startRedisServer({ dir });
  const client = new Redis(server.url);
  try {
    const latencies = new Latencies();
    for (let n = 0; n < PINGS; n++) {
      await delay(2);
      const sinceMs = performance.now();
      await client.ping();
      latencies.add(sinceMs);
    }
    return latencies.summary().p50Ms;
  } finally {
    client.disconnect();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

export const machineLine = (m: Machine): string =>
  `${m.cores} cores (${m.cpu}), ${m.memoryGb} GB, ${m.system}, Node ${m.node}, Redis ${m.redis}, NATS ${m.nats}; PING ${m.pingMs} ms`;
