/** The program of the cloud's child processes: a DEA or the controller. argv[2] is its `Role` as JSON. */
import { pino } from 'pino';
import { Dea } from '../agent/dea.ts';
import { connectNats } from '../connect.ts';
import { startController } from '../controller/controller.ts';
import type { ControllerEvent, DeaEvent, Role } from '../protocol.ts';

const log = pino({ name: 'cloud' });

function emit(event: DeaEvent | ControllerEvent): void {
  // An error means that the supervisor is gone; 'disconnect' below then ends this process.
  if (process.connected) process.send?.(event, undefined, undefined, () => {});
}

async function runDea(options: Extract<Role, { role: 'dea' }>): Promise<void> {
  const dea = new Dea({
    ...options,
    nats: await connectNats(options.nats, 'cloud-dea'),
    log,
    onInstances: (instances) => emit({ type: 'instances', instances }),
    onEvacuating: () => emit({ type: 'evacuating' }),
    onLate: (ms) => emit({ type: 'late', ms }),
  });
  const leave = () => {
    void dea.shutdown().then(() => process.exit(0));
  };
  process.on('SIGTERM', leave);
  process.on('SIGUSR2', () => {
    dea.evacuate();
    void dea.evacuated().then(leave);
  });
  await dea.start();
  emit({ type: 'ready', id: dea.id });
}

async function runController(options: Extract<Role, { role: 'controller' }>): Promise<void> {
  const nats = await connectNats(options.nats, 'cloud-controller');
  const controller = await startController({ ...options, nats, log, onEvent: emit });
  process.on('SIGTERM', () => {
    void controller.close().then(() => process.exit(0));
  });
  emit({ type: 'ready', port: controller.port });
}

// A Ctrl-C reaches the whole process group. The supervisor stops its children in order, with SIGTERM.
process.on('SIGINT', () => {});
// The supervisor is gone, perhaps killed. The instances end with their DEA.
process.on('disconnect', () => process.exit(1));

const role: Role = JSON.parse(process.argv[2] ?? '{}');
const run = role.role === 'dea' ? runDea(role) : runController(role);
run.catch((error: unknown) => {
  log.fatal({ err: error }, 'cloud process failed');
  process.exitCode = 1;
  process.disconnect?.();
});
