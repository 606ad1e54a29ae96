import { LIST_IDS, type OptionWords, type Words } from './words.ts';

/**
 * Completions of commands, options, arguments and guids for fish: `hm completion fish | source`. Fish uses them for every path that
 * ends in the program's name.
 */
export function fishCompletion({ program, commands, options }: Words): string {
  const first = `-n '__fish_use_subcommand'`;
  const lines = [
    ...commands.map(({ name, summary }) => `${first} -a ${single(name)} -d ${single(summary)}`),
    ...options.map((option) => `${first} ${optionText(program, option)}`),
    ...commands.flatMap(({ name, choices, ids, options: own }) => {
      const after = `-n '__fish_seen_subcommand_from ${name}'`;
      return [
        ...(choices.length > 0 ? [`${after} -a ${single(choices.join(' '))}`] : []),
        ...(ids !== undefined ? [`${after} -a '(__${program}_ids ${ids})'`] : []),
        ...own.map((option) => `${after} ${optionText(program, option)}`),
      ];
    }),
  ];
  return `# Completion of ${program} for fish: ${program} completion fish | source
function __${program}_ids
    string match -q -- '-*' (commandline -ct); and return
    set -l words (commandline -opc)
    set -l config
    for i in (seq 2 (count $words))
        if contains -- $words[$i] -c --config; and set -q words[(math $i + 1)]
            set config --config $words[(math $i + 1)]
        end
    end
    eval (string escape -- $words[1]) ${LIST_IDS} $argv[1] (string escape -- $config) -- (string escape -- (commandline -ct)) 2>/dev/null
end
complete -c ${program} -f
${lines.map((line) => `complete -c ${program} ${line}`).join('\n')}
`;
}

function optionText(program: string, { flags, description, value }: OptionWords): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const follows =
    value === undefined
      ? []
      : value === 'file'
        ? ['-r -F']
        : value === 'other'
          ? ['-x']
          : [`-x -a '(__${program}_ids ${value})'`];
  return [...names, ...follows, `-d ${single(description)}`].join(' ');
}

/** In single quotes, for fish. */
function single(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
