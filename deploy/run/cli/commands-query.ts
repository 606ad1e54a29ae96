/** The commands that query a deployment or write the completion script. */
import { Argument, type Command, Option } from 'commander';
import { RECORD_FACT_KINDS } from '../../../common/explain/facts.ts';
import { LOG_KINDS } from '../../../common/model/decision-log.ts';
import { REASONS } from '../../../common/model/reasons.ts';
import { APP_PROBLEMS, APP_SORTS } from '../../../common/views/apps/app-list-types.ts';
import { bashCompletion } from './completion/bash.ts';
import { fishCompletion } from './completion/fish.ts';
import { ID_KINDS, type IdKind, LIST_IDS, SHELLS, type Shell, wordsOf } from './completion/words.ts';
import { zshCompletion } from './completion/zsh.ts';
import {
  atLeastOne,
  CONFIG,
  type ConfigOption,
  examples,
  moment,
  type Runs,
  seconds,
  someOf,
  upTo,
} from './options.ts';
import type { DropletOptions } from './query/droplet.ts';
import type { DumpOptions } from './query/dump.ts';
import type { ExplainOptions } from './query/log/explain.ts';
import { MAX_SINCE } from './query/log/filter.ts';
import type { WatchOptions } from './query/log/watch.ts';
import type { LsOptions } from './query/ls.ts';
import type { PsOptions } from './query/ps.ts';
import type { TopOptions } from './top/top.ts';

const UTC = ['--utc', 'times in UTC instead of the local time zone'] as const;

/** Adds the options that select events and decisions. */
function addFilter<C extends Command>(command: C, kinds: readonly string[]): C {
  return command
    .option('--since <time>', 'nothing before: how long ago (30m, 2h), or a time (2026-01-31T14:00Z)', moment)
    .option('--until <time>', 'nothing after, given in the same way', moment)
    .option('--kind <kinds>', `some of ${kinds.join(', ')}, separated by commas`, someOf(kinds))
    .option('--reason <reasons>', `some of ${REASONS.join(', ')}, separated by commas`, someOf(REASONS));
}

const COMPLETIONS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

export function addQueryCommands(program: Command, runs: Runs): void {
  program
    .command('top')
    .summary('shows the whole deployment on a live screen')
    .description(
      'Shows totals, holds, queues, messages per second, the droplets with the worst problems and what happens next, ' +
        'and the latest decisions. Keys: arrows select an app, Enter shows its story, / filters, s sorts, a shows all apps, ' +
        '? lists all keys, q or Ctrl-C quits. When the output is no terminal: shows it once, as text.',
    )
    .option(...CONFIG)
    .option('-s, --seconds <seconds>', 'interval between two readings', seconds, 2)
    .option('--once', 'once, as text')
    .option('--json', 'once, as one JSON object; times are epoch milliseconds and named ...Ms')
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
    .command('ps')
    .summary('shows the processes of the deployment')
    .description(
      'Shows every process: kind, host, pid, version, start, last work, the delay of its event loop, and what it waits ' +
        'for. Kinds of which no copy works come first. Exit code 1 if there is such a kind.',
    )
    .option(...CONFIG)
    .option('--json', 'one JSON object; times are epoch milliseconds and named ...Ms')
    .option(...UTC)
    .addHelpText('after', examples(['hm ps', 'the processes'], ['hm ps --json', 'for a script']))
    .action(runs(async (options: PsOptions) => (await import('./query/ps.ts')).ps(options)));

  program
    .command('ls')
    .summary('lists droplets, by what is wrong with them')
    .description(
      'Lists droplets, one a line: how many instances run, what is wrong and what happens next. Without --state all ' +
        'droplets, by guid; with it those that have one of these problems, worst first.',
    )
    .option(...CONFIG)
    .option(
      '--state <states>',
      `some of ${APP_PROBLEMS.join(', ')}, separated by commas`,
      someOf(APP_PROBLEMS),
    )
    .option('--search <text>', 'only droplets with this text in their guid')
    .option('--dea <guid>', 'only droplets that this DEA lists')
    .addOption(new Option('--sort <order>', 'order of the lines').choices(APP_SORTS))
    .option('-n, --limit <lines>', 'show at most this many lines', atLeastOne, 1_000)
    .option('--json', 'one JSON object a line; times are epoch milliseconds and named ...Ms')
    .option(...UTC)
    .addHelpText(
      'after',
      examples(
        ['hm ls --state missing,held', 'droplets that lack an instance or are held back, worst first'],
        ['hm ls --search mail', 'droplets with mail in their guid'],
      ),
    )
    .action(runs(async (options: LsOptions) => (await import('./query/ls.ts')).ls(options)));

  addFilter(program.command('watch'), LOG_KINDS)
    .summary('shows decisions as they are made')
    .description(
      'Follows the decision log of the whole deployment, one line for each event or decision, until Ctrl-C. ' +
        'After an outage of Redis it continues. With --since it begins with what was decided since then, and with --until ' +
        'it ends at that time.',
    )
    .option(...CONFIG)
    .option(
      '-n, --last <lines>',
      `begin with this many past entries; with --since: ${MAX_SINCE}`,
      upTo(MAX_SINCE),
    )
    .option('--json', 'one JSON entry a line; times are epoch milliseconds and named ...Ms')
    .option(...UTC)
    .addHelpText(
      'after',
      examples(
        ['hm watch -n 20', 'the latest twenty entries, then new ones'],
        [
          'hm watch --since 2h --kind giveup,unplaced',
          'what was given up in the last two hours, then new ones',
        ],
        ['hm watch --json | grep \'"kind":"giveup"\'', 'slots that are given up, for a script'],
      ),
    )
    .action(runs(async (options: WatchOptions) => (await import('./query/log/watch.ts')).watch(options)));

  program
    .command('droplet <guid>')
    .summary('shows the present state of one droplet')
    .description(
      'Shows the desired and the actual state of a droplet, pending starts and stops with their times, and the holds ' +
        'that prevent starts or stops.',
    )
    .option(...CONFIG)
    .option(
      '--json',
      'as JSON; times are epoch milliseconds and named ...Ms, those of messages keep their names and seconds',
    )
    .option(...UTC)
    .addHelpText('after', examples(['hm droplet web', 'the droplet with the guid web']))
    .action(
      runs(async (guid: string, options: DropletOptions) =>
        (await import('./query/droplet.ts')).droplet(guid, options),
      ),
    );

  addFilter(program.command('explain <guid>'), [...LOG_KINDS, ...RECORD_FACT_KINDS])
    .summary('shows the events and decisions of one droplet, with times and reasons')
    .description(
      'Shows the present state of a droplet and what happens next, then its events and decisions, newest first, from the ' +
        'decision log and the record of the droplet. A crash loop is one line, unless --kind or --reason selects lines.',
    )
    .option(...CONFIG)
    .option('--json', 'one JSON entry a line; times are epoch milliseconds and named ...Ms')
    .option(...UTC)
    .option(
      '-n, --limit <lines>',
      'show at most this many lines, the latest; default: as many as the terminal has, or 200',
      atLeastOne,
    )
    .addHelpText(
      'after',
      examples(
        ['hm explain web', 'all events and decisions'],
        ['hm explain web --since 1h --kind exit,start', 'crashes and starts of the last hour'],
        ['hm explain web -n 10 --utc', 'the last ten lines, in UTC'],
      ),
    )
    .action(
      runs(async (guid: string, options: ExplainOptions) =>
        (await import('./query/log/explain.ts')).explain(guid, options),
      ),
    );

  program
    .command('dump')
    .summary('shows the present state of all droplets')
    .description('Writes one line for each droplet, while it reads them.')
    .option(...CONFIG)
    .option('--json', 'one JSON object a line, as "hm droplet --json" shows it')
    .addHelpText(
      'after',
      examples(
        ['hm dump | grep MISSING', 'droplets with a missing instance'],
        ['hm dump --json > droplets.jsonl', 'into a file; the terminal shows the progress'],
      ),
    )
    .action(runs(async (options: DumpOptions) => (await import('./query/dump.ts')).dump(options)));

  program
    .command('adopt')
    .summary('takes over the Redis data of another deployment, after a move')
    .description(
      'Redis keeps the partition and the controller of the deployment that uses redis.prefix, and every process of ' +
        'another one is refused with exit code 78. After a move on purpose (a new name of the controller, another ' +
        'partition) this command stores those of the configuration file. Exit code 1 while a process still runs.',
    )
    .option(...CONFIG)
    .addHelpText('after', examples(['hm adopt --config health_manager.yml', 'the controller has a new name']))
    .action(runs(async (options: ConfigOption) => (await import('./query/adopt.ts')).adopt(options)));

  program
    .command('completion')
    .summary('writes a completion script for a shell')
    .description('Writes a script that completes commands, options, arguments and guids, also for deploy/hm.')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      examples(
        ['source <(hm completion bash)', 'for this shell'],
        ['hm completion bash > ~/.local/share/bash-completion/completions/hm', 'for every later shell'],
        ['hm completion zsh > ~/.zfunc/_hm', 'zsh, with ~/.zfunc in $fpath'],
        ['hm completion fish > ~/.config/fish/completions/hm.fish', 'fish'],
      ),
    )
    .action(
      runs(async (shell: Shell) => {
        process.stdout.write(COMPLETIONS[shell](wordsOf(program)));
        return 0;
      }),
    );

  program
    .command(LIST_IDS, { hidden: true })
    .description('Lists ids that begin with a prefix, for the completion scripts.')
    .addArgument(new Argument('<kind>').choices(ID_KINDS))
    .argument('[prefix]', '', '')
    .option(...CONFIG)
    .addHelpText('after', examples(['hm complete-ids droplets a3', 'guids that begin with a3']))
    .action(
      runs(async (kind: IdKind, prefix: string, options: ConfigOption) =>
        (await import('./completion/list-ids.ts')).listIds(kind, prefix, options),
      ),
    );
}
