/** The commands that look at a deployment, and those that act on it as a whole. */
import { Argument, type Command } from 'commander';
import type { ReleasableHold } from '../../../common/redis/holds.ts';
import { bashCompletion, SHELLS } from './completion.ts';
import { atLeastOne, CONFIG, type ConfigOption, examples, type Runs, seconds, upTo } from './options.ts';
import type { DropletOptions } from './query/droplet.ts';
import type { DumpOptions } from './query/dump.ts';
import type { ExplainOptions } from './query/explain.ts';
import type { WatchOptions } from './query/watch.ts';
import type { TopOptions } from './top/top.ts';

const UTC = ['--utc', 'times in UTC instead of the local time zone'] as const;

/** Entries of each slice's log that `watch` reads back at most. */
const LAST_AT_MOST = 200;

export function addLookCommands(program: Command, runs: Runs): void {
  program
    .command('check')
    .summary('is the configuration right, do NATS, Redis and the bulk API answer')
    .description(
      'Validates the configuration, then tries NATS, Redis and one page of the bulk API, and says each result. ' +
        'Exit code 0 when all is well, 78 when the configuration is wrong, 1 when something does not answer.',
    )
    .option(...CONFIG)
    .addHelpText('after', examples(['hm check --config health_manager.yml', 'before a start or an upgrade']))
    .action(runs(async (options: ConfigOption) => (await import('./check/check.ts')).check(options)));

  program
    .command('top')
    .summary('the whole deployment on a live screen')
    .description(
      'Shows totals, holds, queues, messages a second, the droplets that are worst off with what happens next, and ' +
        'the latest decisions, on a live screen; q or Ctrl-C ends it. Where the output is no terminal: once, as text.',
    )
    .option(...CONFIG)
    .option('-s, --seconds <seconds>', 'time between two readings', seconds, 2)
    .option('--once', 'once, as text')
    .option('--json', 'once, as one JSON object; times in it, named ...Ms, are epoch milliseconds')
    .option(...UTC)
    .addHelpText(
      'after',
      examples(
        ['hm top', 'a live screen'],
        ['hm top --once | head -8', 'the figures as text'],
        ['hm top --json', 'for a script'],
      ),
    )
    .action(runs(async (options: TopOptions) => (await import('./top/top.ts')).top(options)));

  program
    .command('watch')
    .summary('decisions as they fall')
    .description(
      'Follows the decision log of the whole deployment: a line for each thing that happened or was decided, with ' +
        'its droplet, until Ctrl-C. It goes on over an outage of Redis.',
    )
    .option(...CONFIG)
    .option('-n, --last <lines>', 'begin with the latest so many', upTo(LAST_AT_MOST), 0)
    .option('--json', 'one JSON entry a line, times as epoch milliseconds')
    .option(...UTC)
    .addHelpText(
      'after',
      examples(
        ['hm watch -n 20', 'the latest twenty, and what comes'],
        ['hm watch --json | grep \'"kind":"giveup"\'', 'slots that are given up, for a script'],
      ),
    )
    .action(runs(async (options: WatchOptions) => (await import('./query/watch.ts')).watch(options)));

  program
    .command('droplet <guid>')
    .summary('one droplet as it is now')
    .description(
      'Shows what should run of a droplet, what runs where, what is on its way and when, and the holds that keep ' +
        'it from being started or stopped.',
    )
    .option(...CONFIG)
    .option('--json', 'as JSON, times as epoch seconds')
    .option(...UTC)
    .addHelpText('after', examples(['hm droplet web', 'of the droplet with the id web']))
    .action(
      runs(async (guid: string, options: DropletOptions) =>
        (await import('./query/droplet.ts')).droplet(guid, options),
      ),
    );

  program
    .command('explain <guid>')
    .summary("a droplet's story: what happened, what was decided, when and why")
    .description(
      "Tells a droplet's story, oldest first, from the decision log and what is remembered of the droplet, and " +
        'what is to come.',
    )
    .option(...CONFIG)
    .option('--json', 'one JSON entry a line, times as epoch milliseconds')
    .option(...UTC)
    .option('-n, --limit <lines>', 'at most so many lines, the latest', atLeastOne, 200)
    .addHelpText(
      'after',
      examples(
        ['hm explain web', 'its whole story'],
        ['hm explain web -n 10 --utc', 'the last ten lines, in UTC'],
      ),
    )
    .action(
      runs(async (guid: string, options: ExplainOptions) =>
        (await import('./query/explain.ts')).explain(guid, options),
      ),
    );

  program
    .command('dump')
    .summary('all droplets as they are now, a line each')
    .description('Writes all droplets as they are now, a line each, while it reads them.')
    .option(...CONFIG)
    .option('--json', 'one JSON object a line, as "hm droplet --json" shows it')
    .addHelpText(
      'after',
      examples(
        ['hm dump | grep MISSING', 'droplets that lack an instance'],
        ['hm dump --json > droplets.jsonl', 'into a file; a terminal shows how far it is'],
      ),
    )
    .action(runs(async (options: DumpOptions) => (await import('./query/dump.ts')).dump(options)));

  program
    .command('release')
    .summary('ends the hold mass_loss or mass_delete now')
    .description(
      'Ends a hold now. mass_loss: the DEAs that are silent are dead, what ran there is to be started elsewhere. ' +
        'mass_delete: the apps that the controller lists no more are deleted, what still runs of them is to be ' +
        'stopped. Exit code 1 when the hold is not on, or does not end within seconds.',
    )
    .addArgument(new Argument('<hold>').choices(['mass_loss', 'mass_delete']))
    .option(...CONFIG)
    .addHelpText('after', examples(['hm release mass_loss', 'the silent DEAs are dead: start elsewhere']))
    .action(
      runs(async (hold: ReleasableHold, options: ConfigOption) =>
        (await import('./query/release.ts')).release(hold, options),
      ),
    );

  program
    .command('completion')
    .summary('completion of this command line for a shell')
    .description('Writes a script that completes commands, options and arguments.')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      examples(
        ['source <(hm completion bash)', 'for this shell'],
        ['hm completion bash > ~/.local/share/bash-completion/completions/hm', 'for every later one'],
      ),
    )
    .action(
      runs(async () => {
        process.stdout.write(bashCompletion(program));
        return 0;
      }),
    );
}
