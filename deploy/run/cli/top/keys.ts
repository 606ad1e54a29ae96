/** The keys that a terminal in raw mode sends. Pure. */

const NAMES: Readonly<Record<string, string>> = {
  ...{ '\x1b[A': 'up', '\x1bOA': 'up', '\x1b[B': 'down', '\x1bOB': 'down' },
  ...{ '\x1b[5~': 'pageup', '\x1b[6~': 'pagedown', '\x02': 'pageup', '\x06': 'pagedown' },
  ...{ '\x1b[H': 'home', '\x1bOH': 'home', '\x1b[1~': 'home' },
  ...{ '\x1b[F': 'end', '\x1bOF': 'end', '\x1b[4~': 'end' },
  ...{ '\r': 'enter', '\n': 'enter', '\t': 'tab', '\x1b': 'escape', '\x7f': 'backspace', '\b': 'backspace' },
  '\x03': 'ctrl-c',
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: keys are control characters
const KEY = /\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])?|./gsu;

/** Several keys may arrive at once. A printable key is its character; a key without a name here is left out. */
export function keysOf(text: string): string[] {
  return (text.match(KEY) ?? []).flatMap((key) => NAMES[key] ?? (/^\P{Cc}$/u.test(key) ? [key] : []));
}
