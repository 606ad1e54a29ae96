import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bashCompletion } from './completion.ts';
import { createProgram } from './program.ts';

let dir: string;
const program = createProgram(() => async () => undefined);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-completion-'));
  writeFileSync(join(dir, 'hm.bash'), bashCompletion(program));
  writeFileSync(join(dir, 'health manager.yml'), '');
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
  const names = program.commands.map((command) => command.name());
  expect(offers('hm', '')).toEqual(expect.arrayContaining([...names, '--help', '--version']));
  expect(offers('hm', 'ex')).toEqual(['explain']);
  for (const command of program.commands) {
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
