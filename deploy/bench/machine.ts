import { execFileSync } from 'node:child_process';
import { cpus, totalmem, type } from 'node:os';
import { requireProgram } from '../launcher/programs.ts';

/** The machine that measured, so that others can place the figures. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGb: number;
  system: string;
  node: string;
  redis: string;
  nats: string;
}

export function thisMachine(): Machine {
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
  };
}

export const machineLine = (m: Machine): string =>
  `${m.cores} cores (${m.cpu}), ${m.memoryGb} GB, ${m.system}, Node ${m.node}, Redis ${m.redis}, NATS ${m.nats}`;
