/** What can be completed on the command line: from commander's definitions, for every shell. */
import type { Argument, Command, Option } from 'commander';

/** Shells with a completion. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** Ids that are read from the deployment. */
export const ID_KINDS = ['droplets', 'deas'] as const;
export type IdKind = (typeof ID_KINDS)[number];

/** The hidden command that lists ids for a completion. */
export const LIST_IDS = 'complete-ids';

export interface CommandWords {
  name: string;
  summary: string;
  /** Fixed words: the choices of its arguments. */
  choices: string[];
  /** The ids that its argument takes. */
  ids?: IdKind;
  options: OptionWords[];
}

export interface OptionWords {
  /** `-c` and `--config` */
  flags: string[];
  description: string;
  /** What follows it; undefined: nothing. */
  value?: 'file' | 'other' | IdKind;
}

export interface Words {
  program: string;
  commands: CommandWords[];
  options: OptionWords[];
}

/** Every visible command with its choices and options. */
export function wordsOf(program: Command): Words {
  const help = program.createHelp();
  const commands = help.visibleCommands(program);
  const names = commands.map((command) => command.name());
  const optionsOf = (command: Command) => help.visibleOptions(command).map(optionWords);
  return {
    program: program.name(),
    options: optionsOf(program),
    commands: commands.map((command) => {
      const ids = command.registeredArguments.map((argument) => idsOf(command, argument)).find(Boolean);
      const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
      return {
        name: command.name(),
        summary: command.summary() || command.description(),
        choices: command.name() === 'help' ? names : choices,
        ...(ids !== undefined && { ids }),
        options: command.name() === 'help' ? [] : optionsOf(command),
      };
    }),
  };
}

function optionWords({ short, long, flags, description, required, optional }: Option): OptionWords {
  const names = [short, long].filter((flag) => flag != null);
  if (!required && !optional) return { flags: names, description };
  const isGuid = /<guid>/.test(flags);
  const value = /<file>/.test(flags) ? 'file' : isGuid ? (long === '--dea' ? 'deas' : 'droplets') : 'other';
  return { flags: names, description, value };
}

/** The ids that an argument named `<guid>` takes. */
function idsOf(command: Command, argument: Argument): IdKind | undefined {
  if (argument.name() !== 'guid') return undefined;
  return command.name() === 'dea' ? 'deas' : 'droplets';
}

/** All options that take such a value, of all commands. */
export function flagsWith({ commands }: Words, value: OptionWords['value']): string[] {
  const options = commands.flatMap((command) => command.options);
  return [...new Set(options.filter((option) => option.value === value).flatMap(({ flags }) => flags))];
}

/** The words that come after a command: choices and options. */
export function wordsAfter({ choices, options }: CommandWords): string[] {
  return [...choices, ...options.flatMap(({ flags }) => flags)];
}
