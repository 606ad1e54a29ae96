/** The container engine for tests that run the image. Nothing is downloaded but packages of npm and Debian. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { readDockerfile } from './dockerfile.ts';

export interface Engine {
  /** The program and its own options. */
  command: readonly [program: string, ...options: string[]];
  /** Options of `build` and `run`. */
  options: readonly string[];
  /** The base image that the Dockerfile is built on. */
  base: string;
}

/** Made by `images.sh`. */
const LOCAL_BASE = 'localhost/health-manager-node:test';

const words = (text: string | undefined) => (text ?? '').split(' ').filter(Boolean);

/**
 * The first engine that has a base image and can run it. HM_TEST_ENGINE names another one with its options
 * (`podman --runtime runc`), HM_TEST_ENGINE_OPTIONS options of its `build` and `run`, and HM_TEST_NODE_IMAGE the base image.
 *
 * @returns undefined if there is none
 */
export function findEngine(): Engine | undefined {
  const [program, ...first] = words(process.env.HM_TEST_ENGINE);
  const options = words(process.env.HM_TEST_ENGINE_OPTIONS);
  const engines: Omit<Engine, 'base'>[] =
    program === undefined
      ? [
          { command: ['docker'], options },
          { command: ['podman'], options },
          // Where podman may not raise limits, or its own runtime does not know the control groups of the machine.
          { command: ['podman', '--runtime', 'runc'], options: ['--ulimit', 'host', ...options] },
        ]
      : [{ command: [program, ...first], options }];
  const bases = [process.env.HM_TEST_NODE_IMAGE, readDockerfile()[0]?.base, LOCAL_BASE];
  for (const engine of engines) {
    const base = bases.find((image) => image && call(engine, 'image', 'inspect', image).status === 0);
    if (base === undefined) continue;
    const args = ['run', '--rm', '--network', 'host', ...engine.options, base, 'node', '--version'];
    if (call(engine, ...args).status === 0) return { ...engine, base };
  }
  return undefined;
}

/** Runs the engine in this project's folder. */
export function call({ command }: Pick<Engine, 'command'>, ...args: string[]): SpawnSyncReturns<string> {
  const [program, ...first] = command;
  return spawnSync(program, [...first, ...args], {
    encoding: 'utf8',
    cwd: packageRoot,
    // Docker's old builder is enough, and needs no plugin.
    env: { DOCKER_BUILDKIT: '0', ...process.env },
  });
}

/**
 * Builds the image. Two test files that build it at the same time do it one after the other: the second one finds it built.
 *
 * @throws Error with the engine's output
 */
export function buildImage(engine: Engine, tag: string): void {
  const format = engine.command[0].endsWith('podman') ? ['--format', 'docker'] : [];
  const file = 'deploy/install/image/Dockerfile';
  const options = [...format, '--network', 'host', ...engine.options, '--build-arg', `NODE=${engine.base}`];
  const lock = join(tmpdir(), 'health-manager-test-image.lock');
  const hasFlock = spawnSync('flock', ['--version']).status === 0;
  const command: Engine['command'] = hasFlock ? ['flock', lock, ...engine.command] : engine.command;
  const { status, stdout, stderr } = call({ command }, 'build', ...options, '-f', file, '-t', tag, '.');
  if (status !== 0) throw new Error(`the image was not built:\n${stdout}${stderr}`);
}
