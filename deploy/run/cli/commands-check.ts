/** The commands that check a configuration, servers and the programs of others. */
import type { Command } from 'commander';
import type { ConformanceOptions } from '../conformance/conformance.ts';
import { CONFIG, type ConfigOption, examples, type Runs, seconds } from './options.ts';

export function addCheckCommands(program: Command, runs: Runs): void {
  program
    .command('check')
    .summary('checks the configuration, NATS, Redis and the bulk API')
    .description(
      'Validates the configuration, then checks NATS, Redis and one page of the bulk API, and shows each result. ' +
        'Exit code 0 when all checks succeed, 78 when the configuration is wrong, 1 when a server does not answer.',
    )
    .option(...CONFIG)
    .addHelpText('after', examples(['hm check --config health_manager.yml', 'before a start or an upgrade']))
    .action(runs(async (options: ConfigOption) => (await import('./check/check.ts')).check(options)));

  program
    .command('conformance')
    .summary('checks what agents and controllers send, on a live NATS')
    .description(
      'Watches NATS for a while and reads the bulk API at the beginning and at the end, and shows what of agents (DEAs) and of the ' +
        'controller does not fit the contract: what would be rejected, what takes the slow path, intervals that are too long, lists ' +
        'that never end, odd times. It only reads. Exit code 0 when nothing is found, 1 when something is, or when NATS does not answer.',
    )
    .option('-c, --config <file>', 'take NATS, controller, partition and droplet_lost from this file')
    .option('--mbus <urls>', 'NATS servers, separated by commas (default: nats://127.0.0.1:4222)')
    .option('--cc <url>', 'the controller, whose bulk API is read; its login comes over NATS')
    .option('--partition <name>', 'cc_partition (default: default)')
    .option('--droplet-lost <seconds>', 'intervals.droplet_lost (default: 30)', seconds)
    .option('-s, --seconds <seconds>', 'how long to watch (default: droplet_lost and five seconds)', seconds)
    .option('--json', 'as one JSON object')
    .addHelpText(
      'after',
      examples(
        ['hm conformance --mbus nats://10.0.0.5:4222 --cc http://10.0.0.6:9022', 'a platform of your own'],
        ['hm conformance --config health_manager.yml --seconds 120', 'the cloud of this configuration'],
        ['hm conformance --json --seconds 60 | jq .findings', 'for a script'],
      ),
    )
    .action(
      runs(async (options: ConformanceOptions) =>
        (await import('../conformance/conformance.ts')).conformance(options),
      ),
    );
}
