import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProgram } from '../program.ts';
import { hasProgram } from '../testing/hm-child.ts';
import { bashCompletion } from './bash.ts';
import { fishCompletion } from './fish.ts';
import { wordsOf } from './words.ts';
import { zshCompletion } from './zsh.ts';

let dir: string;
const program = createProgram(() => async () => undefined);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-completion-'));
  writeFileSync(join(dir, 'hm.bash'), bashCompletion(wordsOf(program)));
  writeFileSync(join(dir, 'health manager.yml'), '');
  writeFileSync(join(dir, '_hm'), zshCompletion(wordsOf(program)));
  writeFileSync(join(dir, 'hm.fish'), fishCompletion(wordsOf(program)));
  // Stands for the real program: shows the arguments with which a completion asks for ids.
  writeFileSync(join(dir, 'hm'), '#!/bin/sh\necho "id-of $*"\n');
  chmodSync(join(dir, 'hm'), 0o755);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The completions that bash offers for the last of these words. */
function offers(...words: string[]): string[] {
  const list = words.map((word) => `'${word}'`).join(' ');
  const script = `source ./hm.bash; COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _hm; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const output = execFileSync('bash', ['--norc', '-euc', script], { cwd: dir, encoding: 'utf8' });
  return output.split('\n').filter((word) => word !== '');
}

test('the completion is registered for hm', () => {
  const output = execFileSync('bash', ['--norc', '-euc', 'source ./hm.bash; complete -p hm'], {
    cwd: dir,
    encoding: 'utf8',
  });
  expect(output).toBe('complete -F _hm hm\n');
});

test('completes every command and all options of each', () => {
  const names = wordsOf(program).commands.map(({ name }) => name);
  expect(offers('hm', '')).toEqual(expect.arrayContaining([...names, '--help', '--version']));
  expect(offers('hm', 'ex')).toEqual(['explain']);
  for (const command of program.commands.filter((one) => names.includes(one.name()))) {
    const flags = command.options.flatMap(({ long }) => long ?? []);
    if (flags.length === 0) continue;
    expect(offers('hm', command.name(), '--'), command.name()).toEqual(expect.arrayContaining(flags));
  }
});

test('completes choices of arguments, commands after help, and files', () => {
  expect(offers('deploy/hm', 'release', 'mass')).toEqual(['mass_loss', 'mass_delete']);
  expect(offers('hm', 'completion', '')).toContain('bash');
  expect(offers('hm', 'help', 'du')).toEqual(['dump']);
  expect(offers('hm', 'check', '--config', 'hea')).toEqual(['health manager.yml']);
  // There is nothing to offer for a number.
  expect(offers('hm', 'watch', '-n', '')).toEqual([]);
});

test('bash asks the deployment for guids, with the configuration of the line', () => {
  expect(offers('./hm', 'explain', 'a1')).toEqual(['id-of complete-ids droplets -- a1']);
  expect(offers('./hm', 'retry', '--config', 'x.yml', 'a1')).toEqual([
    'id-of complete-ids droplets --config x.yml -- a1',
  ]);
  expect(offers('./hm', 'hold', 'all', '--dea', 'd')).toEqual(['id-of complete-ids deas -- d']);
  expect(offers('./hm', 'hold', 'all', '--droplet', '')).toEqual(['id-of complete-ids droplets -- ']);
  expect(offers('./hm', 'explain', '--')).toContain('--limit');
});

/** The completions that zsh offers; its own functions are replaced by ones that print. */
function zshOffers(...words: string[]): string[] {
  const script = `
    compdef() { : }
    compadd() { [[ $1 == -a ]] && print -l -- "\${(P@)2}" }
    _describe() { print -l -- "\${(P@)2}" }
    _files() { print FILES }
    source ./_hm
    words=(${words.map((word) => `'${word}'`).join(' ')}); CURRENT=${words.length}
    _hm`;
  const output = execFileSync('zsh', ['-f', '-ec', script], { cwd: dir, encoding: 'utf8' });
  return output.split('\n').filter((word) => word !== '');
}

test.skipIf(!hasProgram('zsh'))('zsh: commands, choices, options, files and guids', () => {
  const commands = zshOffers('hm', '');
  for (const command of program.commands) {
    if (command.name() === 'complete-ids') continue;
    expect(
      commands.some((line) => line.startsWith(`${command.name()}:`)),
      command.name(),
    ).toBe(true);
    const flags = command.options.flatMap(({ long }) => long ?? []);
    if (flags.length > 0)
      expect(zshOffers('hm', command.name(), '--'), command.name()).toEqual(expect.arrayContaining(flags));
  }
  expect(zshOffers('hm', 'release', '')).toEqual(expect.arrayContaining(['mass_loss', 'mass_delete']));
  expect(zshOffers('hm', 'check', '--config', '')).toEqual(['FILES']);
  expect(zshOffers('hm', 'watch', '-n', '')).toEqual([]);
  expect(zshOffers('./hm', 'explain', '-c', 'x.yml', 'a1')).toEqual([
    'id-of complete-ids droplets --config x.yml -- a1',
  ]);
  expect(zshOffers('./hm', 'hold', 'all', '--dea', 'd')).toEqual(['id-of complete-ids deas -- d']);
});

/** The completions that fish offers for a command line. */
function fishOffers(line: string): string[] {
  const script = `source ./hm.fish; complete -C '${line}'`;
  const env = { ...process.env, HOME: dir, XDG_CONFIG_HOME: dir, XDG_DATA_HOME: dir };
  const output = execFileSync('fish', ['--no-config', '-c', script], { cwd: dir, encoding: 'utf8', env });
  return output
    .split('\n')
    .filter((offer) => offer !== '')
    .map((offer) => offer.split('\t')[0] as string);
}

test.skipIf(!hasProgram('fish'))('fish: commands, choices, options, files and guids', () => {
  expect(fishOffers('hm ex')).toEqual(['explain']);
  expect(fishOffers('hm ')).toEqual(
    expect.arrayContaining(
      program.commands.map((command) => command.name()).filter((name) => name !== 'complete-ids'),
    ),
  );
  expect(fishOffers('hm release mass')).toEqual(expect.arrayContaining(['mass_loss', 'mass_delete']));
  expect(fishOffers('hm explain --lim')).toEqual(['--limit']);
  expect(fishOffers('hm check --config hea')).toEqual([expect.stringContaining('health')]);
  expect(fishOffers('./hm explain -c x.yml ')).toContain('id-of complete-ids droplets --config x.yml -- ');
  expect(fishOffers('./hm hold all --dea ')).toContain('id-of complete-ids deas -- ');
});

test('the program has the hidden command that lists ids', () => {
  expect(wordsOf(program).commands.map(({ name }) => name)).not.toContain('complete-ids');
  expect(program.commands.map((command) => command.name())).toContain('complete-ids');
});
