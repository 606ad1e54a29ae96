import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import type { Lifecycle } from '../../common/runtime/lifecycle.ts';
import { packageRoot } from '../../common/runtime/package-root.ts';
import { hmProgram } from '../run/hm-program.ts';
import { claimFolder } from '../run/launcher/folder-lock.ts';
import { type Guarded, spawnGuarded } from '../run/launcher/kill-with-parent.ts';
import { freePort, startNatsServer, startRedisServer } from '../run/launcher/servers.ts';
import { type Cloud, startCloud } from './cloud.ts';
import { DEMO, demoConfig } from './config.ts';

/** Everything that the demo runs. */
export interface Stage {
  cloud: Cloud;
  /** For looking on. */
  nats: NatsConnection;
  redisUrl: string;
  natsUrl: string;
  statusPort: number;
  /** The user's to edit. */
  appsFile: string;
  configFile: string;
  logDir: string;
  /** Starts the health manager, which then runs till the end of the stage. */
  startHealthManager(): Promise<Guarded>;
}

/** Variables that would win over the generated configuration file. */
const OVERRULING = ['MBUS_URI', 'REDIS_URL', 'LOG_LEVEL', 'CLOUD_FOUNDRY_CONFIG_PATH'];
/** The health manager finishes what is in hand, within 10 s (contract: programs). */
const HM_KILL_AFTER_MS = 11_000;

/**
 * Sets the stage in a folder of its own: servers, cloud, configuration. All of it ends with the lifecycle,
 * in the opposite order, so that the health manager goes before it could take the cloud's end for a failure.
 *
 * @throws UnavailableError when a program or a port is not to be had, or another demo has the folder
 */
export async function setStage(dir: string, lifecycle: Lifecycle): Promise<Stage> {
  const { signal } = lifecycle;
  const logDir = join(dir, 'logs');
  mkdirSync(logDir, { recursive: true });
  lifecycle.onStop('folder', claimFolder(dir));
  const appsFile = join(dir, 'apps.yml');
  copyFileSync(join(packageRoot, 'deploy', 'demo', 'apps.yml'), appsFile);

  // Empty at every start: the demo shows how a cloud comes up.
  const redisDir = join(dir, 'redis', String(process.pid));
  const [redis, nats] = await Promise.all([
    startRedisServer({ dir: redisDir, signal }).then((server) => own(lifecycle, 'redis-server', server)),
    startNatsServer({ dir: logDir, signal }).then((server) => own(lifecycle, 'nats-server', server)),
  ]);
  const connection = lifecycle.own(
    'nats connection',
    await connect({ servers: nats.url, name: 'cloud-demo', maxReconnectAttempts: -1 }),
    (open) => open.close(),
  );
  const cloud = await startCloud({
    nats: nats.url,
    partition: DEMO.partition,
    appsFile,
    logDir,
    agents: DEMO.agents,
    heartbeatMs: DEMO.heartbeat * 1000,
    replaceAfterMs: DEMO.replaceAgent * 1000,
  });
  own(lifecycle, 'cloud', cloud);

  const statusPort = await freePort();
  const configFile = join(dir, 'health_manager.yml');
  const { bulkPort } = cloud;
  writeFileSync(configFile, demoConfig({ nats: nats.url, redis: redis.url, bulkPort, statusPort }));
  return {
    ...{ cloud, appsFile, configFile, logDir, statusPort },
    nats: connection,
    redisUrl: redis.url,
    natsUrl: nats.url,
    async startHealthManager() {
      const manager = await startHealthManager(configFile, join(logDir, 'health_manager.log'));
      return lifecycle.own('health manager', manager, (running) => running.stop(HM_KILL_AFTER_MS));
    },
  };
}

/** `deploy/hm start`, without its set-up: the demo was started through that itself. */
async function startHealthManager(configFile: string, logFile: string): Promise<Guarded> {
  const env = { ...process.env };
  for (const name of OVERRULING) delete env[name];
  const program = hmProgram;
  const log = openSync(logFile, 'w');
  const manager = await spawnGuarded(process.execPath, [program, 'start', '--config', configFile], {
    ...{ env, stdout: log, stderr: log },
  });
  closeSync(log);
  return manager;
}

function own<T extends { stop(): Promise<void> }>(lifecycle: Lifecycle, name: string, resource: T): T {
  return lifecycle.own(name, resource, (running) => running.stop());
}

/** The end of a log, to show why something failed. */
export function tailOf(file: string, lines = 10): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}
