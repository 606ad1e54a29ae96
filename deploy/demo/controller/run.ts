/**
 * `hm demo controller`: the controller of a platform on any NATS, a start for one of one's own. Its apps are a file. It places by the number
 * of instances, not by memory, and keeps no history.
 */
import { pino } from 'pino';
import { EXIT } from '../../../common/runtime/lifecycle/exit-codes.ts';
import { connectNats } from '../connect.ts';
import type { ControllerEvent } from '../protocol.ts';
import { AppsFileError } from './apps.ts';
import { type Controller, startController } from './controller.ts';

export interface ControllerRunOptions {
  /** NATS URLs, separated by commas. */
  mbus: string;
  /** The apps file; read again at each change. */
  apps: string;
  /** `cc_partition` of the health manager. */
  partition: string;
  /** The time between two heartbeats of an agent (s). */
  heartbeat: number;
  /** Of the bulk API, on the loopback. */
  port: number;
}

/**
 * Runs until SIGTERM or Ctrl-C.
 *
 * @returns the exit code: 78 when the apps file is wrong, 69 when the port is in use
 */
export async function runController(options: ControllerRunOptions): Promise<number> {
  const { mbus, apps, partition, heartbeat, port } = options;
  const log = pino({ name: 'controller' });
  const nats = await connectNats(mbus, 'demo-controller');
  let controller: Controller;
  try {
    controller = await startController({
      ...{ nats, partition, appsFile: apps, heartbeatMs: heartbeat * 1_000, port, log },
      onEvent: (event) => logEvent(event),
    });
  } catch (error) {
    await nats.close();
    const code = problemCode(error);
    if (code === undefined) throw error;
    process.stderr.write(
      `hm demo controller: ${code === EXIT.config ? `${apps}: ` : ''}${(error as Error).message}\n`,
    );
    return code;
  }
  log.info({ port: controller.port }, 'controller ready');
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  await controller.close();
  await nats.drain();
  return EXIT.done;

  /** The controller itself logs refusals and problems. */
  function logEvent(event: ControllerEvent): void {
    if (event.type === 'placed')
      log.info({ droplet: event.droplet, index: event.index, dea: event.dea }, 'instance placed');
    if (event.type === 'stop' && event.refused === undefined)
      log.info({ droplet: event.droplet, instances: event.instances }, 'instances stopped');
    if (event.type === 'apps')
      log.info({ apps: event.apps.length, changed: event.changed }, 'apps file read');
  }
}

function problemCode(error: unknown): number | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof AppsFileError || code === 'ENOENT' || code === 'EACCES') return EXIT.config;
  return code === 'EADDRINUSE' ? EXIT.unavailable : undefined;
}
