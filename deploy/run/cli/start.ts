import { dirname, join } from 'node:path';
import { prettyFactory } from 'pino-pretty';
import { loadConfig } from '../../../common/config/load.ts';
import { writePidFile } from '../../../common/process.ts';
import { createLogger, openLogOutput, reopenOnHangUp } from '../../../common/runtime/log.ts';
import { hmProgram } from '../hm-program.ts';
import type { ProcessName } from '../launcher/child.ts';
import { launch } from '../launcher/launcher.ts';
import { onStopSignals } from '../stop-signals.ts';
import type { ConfigOption } from './options.ts';

/** `hm start`: runs all processes, and private servers where none is configured. */
export async function start(options: ConfigOption): Promise<number> {
  const { settings, file } = loadConfig({ file: options.config, env: process.env, cwd: process.cwd() });
  if (settings.pidFile !== undefined) writePidFile(settings.pidFile);
  const { logging } = settings;
  const output = openLogOutput(logging);
  const log = createLogger('start', logging, output);
  const launcher = launch({
    settings,
    log,
    dataDir: join(dirname(file), '.hm'),
    command: (name: ProcessName) => ({
      program: process.execPath,
      args: [hmProgram, name, '--config', file],
    }),
    env: process.env,
    output: { stdout: process.stdout, stderr: process.stderr, format: formatter() },
  });
  reopenOnHangUp(log, logging, output, () => launcher.hangUp());
  onStopSignals(launcher, logging.file === undefined ? undefined : ['SIGINT', 'SIGTERM']);
  return launcher.done;
}

/** The children write to a pipe, so they log JSON. On a terminal it is shown in a readable form. */
function formatter(): (line: string) => string {
  if (!process.stdout.isTTY) return (line) => line;
  const pretty = prettyFactory({ colorize: true });
  return (line) => (line.startsWith('{') ? pretty(line).trimEnd() : line);
}
