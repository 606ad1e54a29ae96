import { flagsWith, ID_KINDS, LIST_IDS, type Words, wordsAfter } from './words.ts';

/**
 * A zsh function that completes commands, options, arguments and guids: for `source <(hm completion zsh)`, or as a file `_hm` in a
 * folder of `$fpath`. Zsh uses it for every path that ends in the program's name.
 */
export function zshCompletion(words: Words): string {
  const { program, commands, options } = words;
  const described = commands.map(({ name, summary }) => `    ${single(`${name}:${summary}`)}`);
  const cases = commands.map((command) => {
    const ids = command.ids === undefined ? '' : `; ids=${command.ids}`;
    return `    (${command.name}) offered=(${wordsAfter(command).join(' ')})${ids} ;;`;
  });
  const idCases = ID_KINDS.map((kind) => [kind, flagsWith(words, kind)] as const)
    .filter(([, flags]) => flags.length > 0)
    .map(([kind, flags]) => `    (${flags.join('|')}) _${program}_ids ${kind}; return ;;`);
  return `#compdef ${program}
# Completion of ${program} for zsh: source <(${program} completion zsh)
_${program}_ids() {
  local -a config found
  local -i i
  for ((i = 2; i < CURRENT; i++)); do
    [[ $words[i] == (-c|--config) ]] && config=(--config "$words[i+1]")
  done
  found=(\${(f)"$("$words[1]" ${LIST_IDS} "$1" $config -- "$words[CURRENT]" 2>/dev/null)"})
  compadd -a found
}
_${program}() {
  local command='' ids=''
  local -a offered commands
  local -i i
  commands=(
${described.join('\n')}
  )
  case $words[CURRENT-1] in
    (${flagsWith(words, 'file').join('|')}) _files; return ;;
${idCases.join('\n')}
    (${flagsWith(words, 'other').join('|')}) return ;;
  esac
  for ((i = 2; i < CURRENT; i++)); do
    if [[ $words[i] != -* ]]; then command=$words[i]; break; fi
  done
  case $command in
    ('')
      if [[ $words[CURRENT] != -* ]]; then _describe command commands; return; fi
      offered=(${options.flatMap(({ flags }) => flags).join(' ')})
      ;;
${cases.join('\n')}
  esac
  if [[ $ids != '' && $words[CURRENT] != -* ]]; then
    _${program}_ids $ids
  else
    compadd -a offered
  fi
}
if [[ $funcstack[1] == _${program} ]]; then _${program} "$@"; else compdef _${program} ${program}; fi
`;
}

/** In single quotes, for zsh. */
function single(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
