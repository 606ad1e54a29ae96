/** A child process of the supervisor: one agent or the controller. argv[2] says which, as JSON (`Role`). */
import { connect } from 'nats';
import { pino } from 'pino';
import { startController } from './controller/controller.ts';
import { Agent } from './dea/dea.ts';
import type { AgentNews, ControllerNews, Role } from './protocol.ts';

const log = pino({ name: 'cloud' });

function tell(news: AgentNews | ControllerNews): void {
  // Fails when the supervisor is gone; `disconnect` below then ends this process.
  if (process.connected) process.send?.(news, undefined, undefined, () => {});
}

async function runAgent(options: Extract<Role, { role: 'agent' }>): Promise<void> {
  const agent = new Agent({
    ...options,
    nats: await connectNats(options.nats, 'cloud-agent'),
    log,
    onInstances: (instances) => tell({ type: 'instances', instances }),
    onEvacuating: () => tell({ type: 'evacuating' }),
  });
  const leave = () => {
    void agent.shutdown().then(() => process.exit(0));
  };
  process.on('SIGTERM', leave);
  process.on('SIGUSR2', () => {
    agent.evacuate();
    void agent.evacuated().then(leave);
  });
  await agent.start();
  tell({ type: 'ready', id: agent.id });
}

async function runController(options: Extract<Role, { role: 'controller' }>): Promise<void> {
  const nats = await connectNats(options.nats, 'cloud-controller');
  const controller = await startController({ ...options, nats, log, onNews: tell });
  process.on('SIGTERM', () => {
    void controller.close().then(() => process.exit(0));
  });
  tell({ type: 'ready', port: controller.port });
}

/** Waits for a server that is away, for ever: clouds do. */
function connectNats(servers: string, name: string) {
  return connect({
    servers,
    name,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: true,
    reconnectTimeWait: 500,
  });
}

// Ctrl-C reaches the whole group; the supervisor tells its children when their turn has come.
process.on('SIGINT', () => {});
// The supervisor is gone, maybe by kill -9. Instances end with their agent.
process.on('disconnect', () => process.exit(1));

const role: Role = JSON.parse(process.argv[2] ?? '{}');
const run = role.role === 'agent' ? runAgent(role) : runController(role);
run.catch((error: unknown) => {
  log.fatal({ err: error }, 'cannot run');
  process.exitCode = 1;
  process.disconnect?.();
});
