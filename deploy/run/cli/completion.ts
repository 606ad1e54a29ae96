import type { Command, Option } from 'commander';

/** Shells with a completion. */
export const SHELLS = ['bash'] as const;

/**
 * A bash function that completes commands, options and arguments, for `source <(hm completion bash)`. It is generated
 * from commander's definitions.
 */
export function bashCompletion(program: Command): string {
  const help = program.createHelp();
  const commands = help.visibleCommands(program);
  const optionsOf = (command: Command) =>
    help.visibleOptions(command).flatMap(({ long, short }) => [long, short].filter((flag) => flag != null));
  const names = commands.map((command) => command.name());
  const cases = commands.map((command) => {
    const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
    const words = command.name() === 'help' ? names : [...choices, ...optionsOf(command)];
    return `    ${command.name()}) words=${quoted(words)} ;;`;
  });
  const valued = commands.flatMap((command) => command.options.filter(takesValue));
  const [files, others] = [valued.filter(isFile), valued.filter((option) => !isFile(option))];
  const flagsOf = (options: readonly Option[]) => [
    ...new Set(options.flatMap(({ short, long }) => [short, long].filter((flag) => flag != null))),
  ];
  return `# Completion of ${program.name()} for bash: source <(${program.name()} completion bash)
_${program.name()}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command='' words i
  case $previous in
    ${flagsOf(files).join(' | ')})
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      compopt -o filenames 2>/dev/null || true
      return
      ;;
    ${flagsOf(others).join(' | ')})
      COMPREPLY=()
      return
      ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      -*) ;;
      *) command=\${COMP_WORDS[i]}; break ;;
    esac
  done
  case $command in
    '') words=${quoted([...names, ...optionsOf(program)])} ;;
${cases.join('\n')}
    *) words='' ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _${program.name()} ${program.name()}
`;
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

/** True for an option with the placeholder `<file>`. */
function isFile({ flags }: Option): boolean {
  return /<file>/i.test(flags);
}

function quoted(words: readonly string[]): string {
  return `'${words.join(' ')}'`;
}
