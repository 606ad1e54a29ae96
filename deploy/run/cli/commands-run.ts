/** The commands that run something. */
import type { Command } from 'commander';
import { PROCESS_NAMES, type ProcessName } from '../launcher/child.ts';
import { CONFIG, type ConfigOption, examples, port, type Runs } from './options.ts';

/** What each process does, for the help. */
const PROCESSES: Record<ProcessName, string> = {
  ingest: 'hears heartbeats and exits over NATS and keeps them in Redis',
  sync: "reads the controller's desired state (bulk API) into Redis",
  analyzer: 'compares desired with actual state and decides',
  nudger: 'checks decisions once more and asks the controller to start and stop',
  reporter: 'answers questions, over NATS and HTTP',
};

export function addRunCommands(program: Command, runs: Runs): void {
  program
    .command('start')
    .summary('all processes on this machine')
    .description(
      'Runs all five processes on this machine and restarts, with growing waits, what ends. Without a Redis in ' +
        'the configuration (or REDIS_URL) it starts a private one, without mbus (or MBUS_URI) a private NATS, on ' +
        'free loopback ports; their data is in .hm/ beside the configuration file. Ctrl-C or SIGTERM stops all of ' +
        'it, a second one at once.',
    )
    .option(...CONFIG)
    .addHelpText(
      'after',
      examples(
        ['hm start --config health_manager.yml', 'all of it, until Ctrl-C'],
        ['REDIS_URL=redis://10.0.0.5:6379 hm start', 'with a Redis of your own'],
      ),
    )
    .action(runs(async (options: ConfigOption) => (await import('./start.ts')).start(options)));

  for (const name of PROCESS_NAMES) {
    program
      .command(name)
      .summary(`one process: ${PROCESSES[name]}`)
      .description(
        `One process: ${PROCESSES[name]}. ` +
          'Run as many copies as you like, on as many hosts. Needs a Redis in the configuration or REDIS_URL.',
      )
      .option(...CONFIG)
      .option('--http-port <port>', 'serve /healthz, /readyz and /metrics on this port', port)
      .addHelpText(
        'after',
        examples(
          [`hm ${name} --config health_manager.yml`, 'one more copy'],
          [`hm ${name} --http-port 8080`, 'with health and metrics on port 8080'],
        ),
      )
      .action(
        runs(async (options: ConfigOption & { httpPort?: number }) =>
          (await import('./process.ts')).runOne(name, options),
        ),
      );
  }

  program
    .command('demo')
    .summary('a small cloud on this machine, kept healthy before your eyes')
    .description('Runs a small cloud on this machine with the health manager beside it.')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .argument('[options...]', 'the demo has options of its own: hm demo --help')
    .action(runs(async (options: string[]) => (await import('./demo.ts')).demo(options)));
}
