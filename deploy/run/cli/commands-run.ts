/** The commands that run processes. */
import { type Command, Option } from 'commander';
import type { AgentOptions } from '../../demo/agent/run.ts';
import type { ControllerRunOptions } from '../../demo/controller/run.ts';
import { ALL_IN_ONE, PROCESS_NAMES, type ProcessName } from '../launcher/child.ts';
import { CONFIG, type ConfigOption, examples, port, type Runs, seconds } from './options.ts';

/** The duty of each process, for the help. */
const PROCESSES: Record<ProcessName, string> = {
  ingest: 'stores the heartbeats and exits that it receives over NATS in Redis',
  sync: "reads the controller's desired state (bulk API) into Redis",
  analyzer: 'compares desired with actual state and decides on starts and stops',
  nudger: 'rechecks decisions and requests starts and stops from the controller',
  reporter: 'answers queries over NATS and HTTP',
};

interface HttpOption extends ConfigOption {
  /** `--http-port` */
  httpPort?: number;
}

const httpPort = (description: string) =>
  new Option('--http-port <port>', description).argParser(port).env('HM_HTTP_PORT');

export function addRunCommands(program: Command, runs: Runs): void {
  program
    .command('start')
    .summary('runs all processes on this machine')
    .description(
      'Runs all five processes on this machine and restarts, after growing waits, those that end. Without a Redis in ' +
        'the configuration (or REDIS_URL) it starts a private one, without mbus (or MBUS_URI) a private NATS, on ' +
        'free loopback ports; their data is in .hm/ beside the configuration file. Ctrl-C or SIGTERM stops all ' +
        'processes in order, a second one at once.',
    )
    .option(...CONFIG)
    .addOption(
      httpPort(
        'serve /healthz, /readyz and /metrics of ingest, sync, analyzer and nudger on this port and the next three',
      ),
    )
    .option(
      '--one-process',
      'run all in one Node process: a third of the memory, but an error that ends one ends all',
    )
    .addHelpText(
      'after',
      examples(
        ['hm start --config health_manager.yml', 'all processes, until Ctrl-C'],
        ['REDIS_URL=redis://10.0.0.5:6379 hm start', 'with a Redis of your own'],
      ),
    )
    .action(
      runs(async (options: HttpOption & { oneProcess?: boolean }) =>
        (await import('./start.ts')).start(options),
      ),
    );

  program
    .command(ALL_IN_ONE)
    .summary('runs all processes in one Node process')
    .description(
      'Runs one of each process in one Node process: a third of the memory of five, but an error that ends one ends all. ' +
        'Needs a Redis in the configuration or in REDIS_URL.',
    )
    .option(...CONFIG)
    .addOption(
      httpPort(
        'serve /healthz, /readyz and /metrics of ingest, sync, analyzer and nudger on this port and the next three',
      ),
    )
    .addHelpText(
      'after',
      examples(
        ['hm all --config health_manager.yml', 'one of each'],
        [
          'hm start --one-process',
          'the same, restarted when it ends, with private servers where none is configured',
        ],
      ),
    )
    .action(
      runs(async (options: HttpOption) => (await import('./process.ts')).runChild(ALL_IN_ONE, options)),
    );

  for (const name of PROCESS_NAMES) {
    const command = program
      .command(name)
      .summary(`runs one process: ${PROCESSES[name]}`)
      .description(
        `Runs one process: ${PROCESSES[name]}. ` +
          'Any number of copies can run, on any number of hosts. Needs a Redis in the configuration or in REDIS_URL.',
      )
      .option(...CONFIG)
      .addOption(httpPort('serve /healthz, /readyz and /metrics on this port'))
      .addHelpText(
        'after',
        examples(
          [`hm ${name} --config health_manager.yml`, 'one more copy'],
          [`hm ${name} --http-port 8080`, 'with health and metrics on port 8080'],
        ),
      );
    if (name === 'sync')
      command.option('--now', 'run no process: request a bulk sync of the running one, and wait for it');
    command.action(
      runs(async (options: HttpOption & { now?: boolean }) => {
        if (options.now) return (await import('./act/sync-now.ts')).requestSyncAndWait(options);
        return (await import('./process.ts')).runChild(name, options);
      }),
    );
  }

  program
    .command('migrate-config')
    .summary("translates hm9000's configuration")
    .description(
      "Reads hm9000's configuration (JSON) and prints one of this program with the same effect (YAML), with a comment for each key " +
        'that has no counterpart.',
    )
    .argument('<file>', "hm9000's configuration")
    .addHelpText(
      'after',
      examples(['hm migrate-config hm9000.json > health_manager.yml', 'then add redis.url']),
    )
    .action(runs(async (file: string) => (await import('./migrate/migrate-config.ts')).migrateConfig(file)));

  const demo = program
    .command('demo')
    .summary('runs a small cloud on this machine and keeps it healthy')
    .description('Runs a small cloud on this machine and the health manager beside it.')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .argument('[options...]', 'see hm demo --help')
    .action(runs(async (options: string[]) => (await import('../../demo/demo.ts')).runDemo(options)));
  addPlatformCommands(demo, runs);
}

const MBUS = ['--mbus <urls>', 'NATS servers, separated by commas', 'nats://127.0.0.1:4222'] as const;
const PARTITION = ['--partition <name>', 'cc_partition of the health manager', 'default'] as const;
const HEARTBEAT_S = 10;

/** The parts of the demo, each alone on any NATS: see platform.md. */
function addPlatformCommands(demo: Command, runs: Runs): void {
  demo
    .command('agent')
    .summary('runs one agent (DEA) on any NATS')
    .description('Runs one agent (DEA) on any NATS, until SIGTERM. SIGUSR2 evacuates it first.')
    .option(...MBUS)
    .option(...PARTITION)
    .option('--heartbeat <seconds>', 'time between two heartbeats', seconds, HEARTBEAT_S)
    .option('--log-dir <folder>', 'folder for the output of the instances')
    .addHelpText('after', examples(['hm demo agent --mbus nats://10.0.0.5:4222', 'on each host']))
    .action(
      runs(async (options: AgentOptions) => (await import('../../demo/agent/run.ts')).runAgent(options)),
    );

  demo
    .command('controller')
    .summary('runs a controller on any NATS')
    .description('Runs a controller whose apps are in a file, on any NATS, until SIGTERM.')
    .requiredOption('--apps <file>', 'the apps file, read again at each change')
    .option(...MBUS)
    .option(...PARTITION)
    .option('--heartbeat <seconds>', 'time between two heartbeats of an agent', seconds, HEARTBEAT_S)
    .option('--port <port>', 'port of the bulk API on the loopback', port, 9022)
    .addHelpText('after', examples(['hm demo controller --apps apps.yml', 'bulk API on port 9022']))
    .action(
      runs(async (options: ControllerRunOptions) =>
        (await import('../../demo/controller/run.ts')).runController(options),
      ),
    );
}
