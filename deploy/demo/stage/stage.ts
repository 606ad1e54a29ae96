import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import type { Lifecycle } from '../../../common/runtime/lifecycle/lifecycle.ts';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { hmProgram } from '../../run/hm-program.ts';
import { lockFolder } from '../../run/launcher/folder-lock.ts';
import { type BoundChild, spawnBoundToParent } from '../../run/launcher/kill-with-parent.ts';
import { freePort, startNatsServer, startRedisServer } from '../../run/launcher/servers.ts';
import { type Cloud, startCloud } from '../cloud/cloud.ts';
import { DEMO, demoConfig, type Patience, patienceOf } from './config.ts';
import { LateTimer, stretchOf } from './lateness.ts';

/** The servers, the cloud and the files of a demo. */
export interface Stage {
  cloud: Cloud;
  /** A connection for observers. */
  nats: NatsConnection;
  redisUrl: string;
  natsUrl: string;
  statusPort: number;
  /** Edited by the user. */
  appsFile: string;
  configFile: string;
  logDir: string;
  patience: Patience;
  /** How late timers ran during the start (ms). */
  lateMs: number;
  /** Starts the health manager, which ends with the lifecycle. */
  startHealthManager(): Promise<BoundChild>;
}

/** Environment variables that would override the generated configuration file. */
const OVERRIDING = ['MBUS_URI', 'REDIS_URL', 'LOG_LEVEL', 'CLOUD_FOUNDRY_CONFIG_PATH'];
/** How often it is tried how late timers run. */
const LATENESS_MS = 50;
/** The health manager has 10 s for an orderly stop (contract: programs). */
const HM_KILL_AFTER_MS = 11_000;

/**
 * Starts servers and cloud in a folder of its own and writes the configuration. All of it ends with the lifecycle,
 * in reverse order: the health manager ends first, so that it does not take the cloud's end for a failure.
 *
 * @param adapts whether the health manager waits longer for heartbeats on a machine on which timers run late
 * @throws UnavailableError when a program or port is not available, or another demo uses the folder
 */
export async function setStage(dir: string, lifecycle: Lifecycle, adapts: boolean): Promise<Stage> {
  const { signal } = lifecycle;
  const lateness = new LateTimer(LATENESS_MS, () => undefined);
  lifecycle.onStop('timer', () => lateness.stop());
  const logDir = join(dir, 'logs');
  mkdirSync(logDir, { recursive: true });
  lifecycle.onStop('folder', lockFolder(dir));
  const appsFile = join(dir, 'apps.yml');
  copyFileSync(join(packageRoot, 'deploy', 'demo', 'apps.yml'), appsFile);

  // A new folder at every start: the demo shows how a cloud comes up from nothing.
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
    deas: DEMO.deas,
    heartbeatMs: DEMO.heartbeat * 1000,
    replaceAfterMs: DEMO.replaceDea * 1000,
  });
  own(lifecycle, 'cloud', cloud);

  const statusPort = await freePort();
  const configFile = join(dir, 'health_manager.yml');
  const { bulkPort } = cloud;
  const lateMs = lateness.worstMs;
  lateness.stop();
  const patience = patienceOf(adapts ? stretchOf(lateMs) : 1);
  const servers = { nats: nats.url, redis: redis.url, bulkPort, statusPort };
  writeFileSync(configFile, demoConfig(servers, patience));
  return {
    ...{ cloud, appsFile, configFile, logDir, statusPort, patience, lateMs },
    nats: connection,
    redisUrl: redis.url,
    natsUrl: nats.url,
    async startHealthManager() {
      const manager = await startHealthManager(configFile, join(logDir, 'health_manager.log'));
      return lifecycle.own('health manager', manager, (running) => running.stop(HM_KILL_AFTER_MS));
    },
  };
}

/** Runs `hm start` without deploy/hm's set-up, which has run for the demo already. */
async function startHealthManager(configFile: string, logFile: string): Promise<BoundChild> {
  const env = { ...process.env };
  for (const name of OVERRIDING) delete env[name];
  const log = openSync(logFile, 'w');
  const manager = await spawnBoundToParent(process.execPath, [hmProgram, 'start', '--config', configFile], {
    ...{ env, stdout: log, stderr: log },
  });
  closeSync(log);
  return manager;
}

function own<T extends { stop(): Promise<void> }>(lifecycle: Lifecycle, name: string, resource: T): T {
  return lifecycle.own(name, resource, (running) => running.stop());
}

/** The last lines of a log file. */
export function tailOf(file: string, lines = 10): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}
