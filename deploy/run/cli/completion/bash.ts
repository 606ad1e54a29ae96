import { flagsWith, ID_KINDS, LIST_IDS, type Words, wordsAfter } from './words.ts';

/**
 * A bash function that completes commands, options, arguments and guids, for `source <(hm completion bash)`. Bash uses it for every
 * path that ends in the program's name, so for `deploy/hm`, too.
 */
export function bashCompletion(words: Words): string {
  const { program, commands, options } = words;
  const names = commands.map(({ name }) => name);
  const cases = commands.map((command) => {
    const ids = command.ids === undefined ? '' : ` ids=${command.ids}`;
    return `    ${command.name}) words=${quoted(wordsAfter(command))}${ids} ;;`;
  });
  const idCases = ID_KINDS.map((kind) => [kind, flagsWith(words, kind)] as const)
    .filter(([, flags]) => flags.length > 0)
    .map(
      ([kind, flags]) => `    ${flags.join(' | ')})\n      _${program}_ids ${kind}\n      return\n      ;;`,
    );
  return `# Completion of ${program} for bash: source <(${program} completion bash)
_${program}_ids() {
  local config=() i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in -c | --config) config=(--config "\${COMP_WORDS[i + 1]}") ;; esac
  done
  mapfile -t COMPREPLY < <("\${COMP_WORDS[0]}" ${LIST_IDS} "$1" "\${config[@]}" -- "\${COMP_WORDS[COMP_CWORD]}" 2>/dev/null)
}
_${program}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command='' words ids='' i
  case $previous in
    ${flagsWith(words, 'file').join(' | ')})
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      compopt -o filenames 2>/dev/null || true
      return
      ;;
${idCases.join('\n')}
    ${flagsWith(words, 'other').join(' | ')})
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
    '') words=${quoted([...names, ...options.flatMap(({ flags }) => flags)])} ;;
${cases.join('\n')}
    *) words='' ;;
  esac
  if [[ $ids != '' && $current != -* ]]; then
    _${program}_ids "$ids"
    return
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _${program} ${program}
`;
}

function quoted(words: readonly string[]): string {
  return `'${words.join(' ')}'`;
}
