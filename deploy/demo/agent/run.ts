/**
 * `hm demo agent`: one agent (DEA) on any NATS, a start for an agent of one's own. It runs commands as they are: without isolation,
 * without limits of memory or CPU, without files of an app, and without routes to it.
 */
import { pino } from 'pino';
import { EXIT } from '../../../common/runtime/lifecycle/exit-codes.ts';
import { connectNats } from '../connect.ts';
import { Dea } from './dea.ts';

export interface AgentOptions {
  /** NATS URLs, separated by commas. */
  mbus: string;
  /** `cc_partition` of the health manager. */
  partition: string;
  /** The time between two heartbeats (s): at most a third of `droplet_lost`. */
  heartbeat: number;
  /** Folder for the output of the instances; default: it is dropped. */
  logDir?: string;
}

/**
 * Runs until a signal. SIGTERM and Ctrl-C stop the instances at once; SIGUSR2 evacuates them first: each ends when another one runs.
 *
 * @returns the exit code, when no instance is left
 */
export async function runAgent({ mbus, partition, heartbeat, logDir }: AgentOptions): Promise<number> {
  const log = pino({ name: 'agent' });
  const nats = await connectNats(mbus, 'demo-agent');
  const known = new Map<string, string>();
  const agent = new Dea({
    ...{ nats, partition, heartbeatMs: heartbeat * 1_000, log },
    ...(logDir !== undefined && { logDir }),
    onInstances(instances) {
      for (const { guid, droplet, index, state } of instances)
        if (known.get(guid) !== state)
          log.info({ droplet, index, instance: guid, state }, 'instance changed');
      known.clear();
      for (const { guid, state } of instances) known.set(guid, state);
    },
    onEvacuating: () => log.info('evacuating'),
  });
  const left = new Promise<void>((resolve) => {
    const leave = () => void agent.shutdown().then(resolve);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, leave);
    process.on('SIGUSR2', () => {
      agent.evacuate();
      void agent.evacuated().then(leave);
    });
  });
  await agent.start();
  log.info({ dea: agent.id, pid: process.pid }, 'agent ready');
  await left;
  await nats.drain();
  log.info('agent left');
  return EXIT.done;
}
