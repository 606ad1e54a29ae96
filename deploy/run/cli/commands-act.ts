/** The commands by which an operator acts on a deployment. */
import { Argument, type Command, InvalidArgumentError } from 'commander';
import type { ReleasableHold } from '../../../common/redis/fleet/holds/holds.ts';
import { HOLD_WORDS, type HoldOptions, type HoldWord } from './act/hold-words.ts';
import { CONFIG, type ConfigOption, duration, examples, type Runs } from './options.ts';

const UTC = ['--utc', 'times in UTC instead of the local time zone'] as const;

export function addActCommands(program: Command, runs: Runs): void {
  program
    .command('hold')
    .summary('pauses starts, stops or both; lists and ends such pauses')
    .description(
      'starts, stops, all: nothing of that is decided or sent, whatever the reason, of everything, of one droplet or ' +
        'of one DEA (its instances are not started elsewhere), until the pause ends. list: what is paused. end: ends a ' +
        'pause by its id. The decision log names who did it.',
    )
    .addArgument(new Argument('<what>').choices(HOLD_WORDS))
    .argument('[id]', 'with end: the id that list shows')
    .option(...CONFIG)
    .option('--droplet <guid>', 'only this droplet')
    .option('--dea <guid>', 'only instances of this DEA')
    .option('--for <duration>', 'ends after this: 90s, 30m, 2h; at most 24h (default: 1h)', duration)
    .option('--why <text>', 'the reason, which everybody sees')
    .option('--json', 'as JSON, times as epoch milliseconds')
    .option(...UTC)
    .addHelpText(
      'after',
      examples(
        ['hm hold starts --for 30m --why "switch is replaced"', 'no starts for half an hour'],
        ['hm hold all --dea 1-8f2a --why reboot', 'one host is rebooted'],
        ['hm hold list', 'what is paused, by whom, until when'],
        ['hm hold end 3fa2c1', 'it goes on'],
      ),
    )
    .action(
      runs(async (what: HoldWord, id: string | undefined, options: HoldOptions) =>
        (await import('./act/hold.ts')).hold(what, id, options),
      ),
    );

  program
    .command('retry')
    .summary('tries a given-up, flapping or unplaced droplet again at once')
    .description(
      'Forgets the crash count and the attempts of the indices that are given up, wait for a flapping restart, or had ' +
        'starts without effect, so that they are started like any missing one. Exit code 1 when there is none.',
    )
    .argument('<guid>', 'the droplet')
    .argument('[index]', 'only this index', indexArgument)
    .option(...CONFIG)
    .addHelpText(
      'after',
      examples(['hm retry web', 'its database is back'], ['hm retry web 2', 'only index 2']),
    )
    .action(
      runs(async (guid: string, index: number | undefined, options: ConfigOption) =>
        (await import('./act/retry.ts')).retryDroplet(guid, index, options),
      ),
    );

  program
    .command('release')
    .summary('ends the hold mass_loss or mass_delete')
    .description(
      'Ends a hold. mass_loss: the silent DEAs are dead, and their instances must be started elsewhere. ' +
        'mass_delete: the droplets that the controller no longer lists are deleted, and their instances must be ' +
        'stopped. Shows first how many. Exit code 1 when the hold is not on, or does not end within seconds.',
    )
    .addArgument(new Argument('<hold>').choices(['mass_loss', 'mass_delete']))
    .option(...CONFIG)
    .addHelpText('after', examples(['hm release mass_loss', 'the silent DEAs are dead: start elsewhere']))
    .action(
      runs(async (hold: ReleasableHold, options: ConfigOption) =>
        (await import('./query/release.ts')).release(hold, options),
      ),
    );
}

function indexArgument(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('Expected an index, 0 to 65535.');
}
