/** Parses the image's Dockerfile, for tests. It supports only the instructions that the file uses. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../common/runtime/package-root.ts';

export interface Copy {
  kind: 'COPY';
  /** The stage to copy from; absent for the build's context. */
  from?: string;
  sources: string[];
  target: string;
}

export interface Run {
  kind: 'RUN';
  command: string;
}

export interface Stage {
  name?: string;
  base: string;
  workdir?: string;
  steps: (Copy | Run)[];
  env: Record<string, string>;
  user?: string;
  /** The port of health and metrics. */
  port?: number;
  /** All exposed ports. */
  ports?: number[];
  healthcheck?: string[];
  entrypoint?: string[];
  cmd?: string[];
  stopSignal?: string;
}

const FILE = join(packageRoot, 'deploy', 'install', 'image', 'Dockerfile');

/** @throws Error for an unsupported line */
export function readDockerfile(): Stage[] {
  const stages: Stage[] = [];
  /** The default of each ARG, by its reference. */
  const variables = new Map<string, string>();
  for (const line of readFileSync(FILE, 'utf8').split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, instruction = '', rest = ''] = /^([A-Z]+) +(.*[^\\])$/.exec(line) ?? [];
    const refuse = () => new Error(`${FILE}: expected a supported instruction, found ${line}`);
    if (instruction === 'ARG') {
      const [name = '', value = ''] = rest.split('=');
      variables.set(`\${${name}}`, value);
      continue;
    }
    if (instruction === 'FROM') {
      const [base = '', as, name] = rest.split(' ');
      stages.push({
        base: variables.get(base) ?? base,
        steps: [],
        env: {},
        ...(as === 'AS' && name !== undefined && { name }),
      });
      continue;
    }
    const stage = stages.at(-1);
    if (stage === undefined) throw refuse();
    if (!add(stage, instruction, rest)) throw refuse();
  }
  return stages;
}

function add(stage: Stage, instruction: string, rest: string): boolean {
  switch (instruction) {
    case 'WORKDIR':
      stage.workdir = rest;
      return true;
    case 'COPY':
      stage.steps.push(copyOf(rest));
      return true;
    case 'RUN':
      stage.steps.push({ kind: 'RUN', command: rest });
      return true;
    case 'ENV': {
      const [name = '', value = ''] = rest.split('=');
      stage.env[name] = value;
      return /^[A-Z_]+=[^ ]+$/.test(rest);
    }
    case 'USER':
      stage.user = rest;
      return true;
    case 'EXPOSE':
      stage.ports = rest.split(' ').map(Number);
      stage.port = stage.ports[0] as number;
      return true;
    case 'HEALTHCHECK':
      stage.healthcheck = listOf(rest.slice(rest.indexOf('CMD ') + 4));
      return rest.includes('CMD ');
    case 'ENTRYPOINT':
      stage.entrypoint = listOf(rest);
      return true;
    case 'CMD':
      stage.cmd = listOf(rest);
      return true;
    case 'STOPSIGNAL':
      stage.stopSignal = rest;
      return true;
    default:
      return false;
  }
}

function copyOf(rest: string): Copy {
  const paths = rest.split(' ');
  const from = paths[0]?.startsWith('--from=') ? paths.shift()?.slice('--from='.length) : undefined;
  const target = paths.pop() ?? '';
  return { kind: 'COPY', ...(from !== undefined && { from }), sources: paths, target };
}

function listOf(json: string): string[] {
  const value: unknown = JSON.parse(json);
  if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value;
  throw new Error(`${FILE}: expected a JSON list of strings, found ${json}`);
}
