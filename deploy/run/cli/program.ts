import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { addLookCommands } from './commands-query.ts';
import { addRunCommands } from './commands-run.ts';
import type { Runs } from './options.ts';

/**
 * Runs the command line. Each command's code is loaded only when it is used.
 *
 * @param argv the arguments after the program's name
 * @returns the exit code (contract: programs)
 */
export async function main(argv: string[]): Promise<number> {
  let exitCode = 0;
  const program = createProgram((command) => async (...args) => {
    exitCode = await command(...args);
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Help and version that were asked for have 0; everything else of commander's is wrong usage.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 64;
    const { explainError } = await import('./errors.ts');
    const { code, lines } = explainError(error);
    for (const line of lines) process.stderr.write(`${line}\n`);
    return code;
  }
}

/** The command line as commander knows it. */
export function createProgram(runs: Runs): Command {
  const program = new Command('hm')
    .description('The health manager: keeps what runs on a platform equal to what should run.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .enablePositionalOptions()
    .showHelpAfterError('(hm --help says what there is)')
    .exitOverride()
    .addHelpText('after', `\n${EXIT_CODES}`);
  addRunCommands(program, runs);
  addLookCommands(program, runs);
  for (const command of program.commands) command.addHelpText('after', `\n${EXIT_CODES}`);
  return program;
}

const EXIT_CODES = `Exit codes: 0 done, 1 not found or not reachable, 64 wrong usage,
            69 a port or program is not to be had, 78 wrong configuration.`;

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest)
    return String(manifest.version);
  throw new Error('package.json: expected a version, found none');
}
