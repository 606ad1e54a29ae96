import { Command, CommanderError } from 'commander';
import { EXIT } from '../../../common/runtime/lifecycle/exit-codes.ts';
import { packageVersion } from '../../../common/runtime/package-version.ts';
import { addActCommands } from './commands-act.ts';
import { addCheckCommands } from './commands-check.ts';
import { addQueryCommands } from './commands-query.ts';
import { addRunCommands } from './commands-run.ts';
import type { Runs } from './options.ts';

/**
 * Runs the command line. The code of a command is loaded only when it is used.
 *
 * @param argv the arguments after the program's name
 * @returns the exit code (contract: programs)
 */
export async function main(argv: string[]): Promise<number> {
  let exitCode: number = EXIT.done;
  const program = createProgram((command) => async (...args) => {
    exitCode = await command(...args);
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander's exit code is 0 for --help and --version. All its other errors are wrong usage.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const { explainError } = await import('./errors.ts');
    const { code, lines } = explainError(error);
    for (const line of lines) process.stderr.write(`${line}\n`);
    return code;
  }
}

/** The definition of the command line. */
export function createProgram(runs: Runs): Command {
  const program = new Command('hm')
    .description("The health manager: keeps a platform's actual state equal to its desired state.")
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .enablePositionalOptions()
    .showHelpAfterError('(hm --help lists the commands and options)')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'hm: ')) })
    .addHelpText('after', `\n${EXIT_CODES}`);
  addRunCommands(program, runs);
  addCheckCommands(program, runs);
  addQueryCommands(program, runs);
  addActCommands(program, runs);
  for (const command of program.commands) command.addHelpText('after', `\n${EXIT_CODES}`);
  return program;
}

const EXIT_CODES = `Exit codes: ${EXIT.done} done, ${EXIT.failed} not found or not reachable, ${EXIT.usage} wrong usage,
            ${EXIT.unavailable} a port or program is not available, ${EXIT.config} wrong configuration.`;
