import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Argument, Command, CommanderError, InvalidArgumentError } from 'commander';
import type { ReleasableHold } from '../../common/holds.ts';
import { packageRoot } from '../../common/root.ts';
import { PROCESS_NAMES, type ProcessName } from '../launcher/child.ts';
import type { DropletOptions } from './droplet.ts';
import type { DumpOptions } from './dump.ts';
import type { ExplainOptions } from './explain.ts';
import type { ConfigOption } from './options.ts';

/** What each process does, for the help. */
const PROCESSES: Record<ProcessName, string> = {
  ingest: 'hears heartbeats and exits over NATS and keeps them in Redis',
  sync: "reads the controller's desired state (bulk API) into Redis",
  analyzer: 'compares desired with actual state and decides',
  nudger: 'checks decisions once more and asks the controller to start and stop',
  reporter: 'answers questions, over NATS and HTTP',
};

const CONFIG_HELP = 'default: health_manager.yml in $CLOUD_FOUNDRY_CONFIG_PATH or the working directory';

/**
 * Runs the command line. Each command's code is loaded only when it is used.
 *
 * @param argv the arguments after the program's name
 * @returns the exit code (contract: programs)
 */
export async function main(argv: string[]): Promise<number> {
  let exitCode = 0;
  /** A command's action: its exit code becomes ours. */
  const runs =
    <A extends unknown[]>(command: (...args: A) => Promise<number>) =>
    async (...args: A) => {
      exitCode = await command(...args);
    };

  const program = new Command('hm')
    .description('The health manager: keeps what runs on a platform equal to what should run.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .enablePositionalOptions()
    .showHelpAfterError('(hm --help says what there is)')
    .exitOverride()
    .addHelpText('after', EXIT_CODES);

  program
    .command('start')
    .summary('all processes on this machine')
    .description(
      'Runs all five processes on this machine and restarts, with growing waits, what ends. Without a Redis in ' +
        'the configuration (or REDIS_URL) it starts a private one, without mbus (or MBUS_URI) a private NATS, on ' +
        'free loopback ports; their data is in .hm/ beside the configuration file. Ctrl-C or SIGTERM stops all of ' +
        'it, a second one at once.',
    )
    .option('-c, --config <file>', CONFIG_HELP)
    .action(runs(async (options: ConfigOption) => (await import('./start.ts')).start(options)));

  for (const name of PROCESS_NAMES) {
    program
      .command(name)
      .summary(`one process: ${PROCESSES[name]}`)
      .description(
        `One process: ${PROCESSES[name]}. ` +
          'Run as many copies as you like, on as many hosts. Needs a Redis in the configuration or REDIS_URL.',
      )
      .option('-c, --config <file>', CONFIG_HELP)
      .option('--http-port <port>', 'serve /healthz, /readyz and /metrics on this port', port)
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

  program
    .command('check')
    .summary('is the configuration right, do NATS, Redis and the bulk API answer')
    .description(
      'Validates the configuration, then tries NATS, Redis and one page of the bulk API, and says each result. ' +
        'Exit code 0 when all is well, 78 when the configuration is wrong, 1 when something does not answer.',
    )
    .option('-c, --config <file>', CONFIG_HELP)
    .action(runs(async (options: ConfigOption) => (await import('./check.ts')).check(options)));

  program
    .command('droplet <guid>')
    .summary('one droplet as it is now')
    .description(
      'Shows what should run of a droplet, what runs where, what is on its way and when, and the holds that keep ' +
        'it from being started or stopped.',
    )
    .option('-c, --config <file>', CONFIG_HELP)
    .option('--json', 'as JSON, times as epoch seconds')
    .option('--utc', 'times in UTC instead of the local time zone')
    .action(
      runs(async (guid: string, options: DropletOptions) =>
        (await import('./droplet.ts')).droplet(guid, options),
      ),
    );

  program
    .command('explain <guid>')
    .summary("a droplet's story: what happened, what was decided, when and why")
    .description(
      "Tells a droplet's story, oldest first, from the decision log and what is remembered of the droplet, and " +
        'what is to come.',
    )
    .option('-c, --config <file>', CONFIG_HELP)
    .option('--json', 'one JSON entry a line, times as epoch milliseconds')
    .option('--utc', 'times in UTC instead of the local time zone')
    .option('-n, --limit <lines>', 'at most so many lines, the latest', atLeastOne, 200)
    .action(
      runs(async (guid: string, options: ExplainOptions) =>
        (await import('./explain.ts')).explain(guid, options),
      ),
    );

  program
    .command('dump')
    .summary('all droplets as they are now, a line each')
    .description('Writes all droplets as they are now, a line each, while it reads them.')
    .option('-c, --config <file>', CONFIG_HELP)
    .option('--json', 'one JSON object a line, as "hm droplet --json" shows it')
    .action(runs(async (options: DumpOptions) => (await import('./dump.ts')).dump(options)));

  program
    .command('release')
    .summary('ends the hold mass_loss or mass_delete now')
    .description(
      'Ends a hold now. mass_loss: the DEAs that are silent are dead, what ran there is to be started elsewhere. ' +
        'mass_delete: the apps that the controller lists no more are deleted, what still runs of them is to be ' +
        'stopped. Exit code 1 when the hold is not on, or does not end within seconds.',
    )
    .addArgument(new Argument('<hold>').choices(['mass_loss', 'mass_delete']))
    .option('-c, --config <file>', CONFIG_HELP)
    .action(
      runs(async (hold: ReleasableHold, options: ConfigOption) =>
        (await import('./release.ts')).release(hold, options),
      ),
    );

  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Help and version that were asked for have 0; everything else of commander's is wrong usage.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 64;
    const { explainError } = await import('./exit.ts');
    const { code, lines } = explainError(error);
    for (const line of lines) process.stderr.write(`${line}\n`);
    return code;
  }
}

const EXIT_CODES = `
Exit codes: 0 done, 1 not found or not reachable, 64 wrong usage,
            69 a port or program is not to be had, 78 wrong configuration.`;

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest)
    return String(manifest.version);
  throw new Error('package.json: expected a version, found none');
}

function port(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= 65_535) return number;
  throw new InvalidArgumentError('Expected a port, 1 to 65535.');
}

function atLeastOne(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError('Expected a whole number, at least 1.');
}
