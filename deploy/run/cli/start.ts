import { dirname, join } from 'node:path';
import { prettyFactory } from 'pino-pretty';
import { loadConfig } from '../../../common/config/load.ts';
import { writePidFile } from '../../../common/process.ts';
import { createLogger } from '../../../common/runtime/log.ts';
import { hmProgram } from '../hm-program.ts';
import type { ProcessName } from '../launcher/child.ts';
import { launch } from '../launcher/launcher.ts';
import type { ConfigOption } from './options.ts';

/** `hm start`: all processes, and private servers where none is configured. */
export async function start(options: ConfigOption): Promise<number> {
  const { settings, file } = loadConfig({ file: options.config, env: process.env, cwd: process.cwd() });
  if (settings.pidFile !== undefined) writePidFile(settings.pidFile);
  const launcher = launch({
    settings,
    log: createLogger('start', settings.logging),
    dataDir: join(dirname(file), '.hm'),
    command: (name: ProcessName) => ({
      program: process.execPath,
      args: [hmProgram, name, '--config', file],
    }),
    env: process.env,
    output: { stdout: process.stdout, stderr: process.stderr, format: formatter() },
  });
  stopOnSignals(launcher);
  return launcher.done;
}

/** The children write to a pipe, so they log JSON; a person at a terminal reads it prettily from us. */
function formatter(): (line: string) => string {
  if (!process.stdout.isTTY) return (line) => line;
  const pretty = prettyFactory({ colorize: true });
  return (line) => (line.startsWith('{') ? pretty(line).trimEnd() : line);
}

/** One Ctrl-C may arrive twice: from the terminal, and passed on by npm. Only a later one means "at once". */
const SAME_CTRL_C_MS = 500;

function stopOnSignals(launcher: { stop(): void; force(): void }): void {
  let askedMs: number | undefined;
  const ask = () => {
    if (askedMs !== undefined && performance.now() - askedMs > SAME_CTRL_C_MS) launcher.force();
    askedMs ??= performance.now();
    launcher.stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, ask);
  // Nobody reads our output any more (`hm start | head`): as good as a Ctrl-C.
  process.stdout.on('error', () => launcher.stop());
}
