import { dirname, join } from 'node:path';
import { prettyFactory } from 'pino-pretty';
import { loadConfig } from '../../../common/config/load.ts';
import type { Settings } from '../../../common/config/settings.ts';
import { writePidFile } from '../../../common/process.ts';
import { adoptPrefix, LayoutError } from '../../../common/redis/layout.ts';
import { createLogger, openLogOutput, reopenOnHangUp } from '../../../common/runtime/log/log.ts';
import { hmProgram } from '../hm-program.ts';
import { ALL_IN_ONE, type ChildName } from '../launcher/child.ts';
import { launch } from '../launcher/launcher.ts';
import { onStopSignals } from '../stop-signals.ts';
import { connectOnce, openOnce } from './connection/connect-once.ts';
import { accessLines, dashboardUrl, oneTimeLogin } from './dashboard-access.ts';
import type { ConfigOption } from './options.ts';
import { portOf } from './process.ts';

/** Longest wait for the private Redis, which has just started (ms). */
const ANSWER_MS = 10_000;

interface StartOptions extends ConfigOption {
  /** The HTTP port of the first process; the next processes have the next ports. The reporter has `status.port`. */
  httpPort?: number;
  /** All processes run in one Node process. */
  oneProcess?: boolean;
}

/** `hm start`: runs all processes, and private servers where none is configured. */
export async function start(options: StartOptions): Promise<number> {
  const { settings, file } = loadConfig({ file: options.config, env: process.env, cwd: process.cwd() });
  if (settings.pidFile !== undefined) writePidFile(settings.pidFile);
  const { logging } = settings;
  const output = openLogOutput(logging);
  const log = createLogger('start', logging, output);
  const isTerminal = process.stdout.isTTY === true;
  const login = oneTimeLogin(settings.status, isTerminal);
  const launcher = launch({
    settings,
    log,
    dataDir: join(dirname(file), '.hm'),
    ...(options.oneProcess && { isOneProcess: true }),
    command: (name) => ({
      program: process.execPath,
      args: [hmProgram, name, '--config', file, ...httpPort(name, options)],
    }),
    // Not one port for all processes.
    env: {
      ...process.env,
      HM_HTTP_PORT: undefined,
      ...(login !== undefined && { STATUS_USER: login.user, STATUS_PASSWORD: login.password }),
    },
    dashboard: dashboardUrl(settings.status),
    onReady: () => {
      if (isTerminal)
        for (const line of accessLines(settings.status, login)) process.stdout.write(`${line}\n`);
    },
    onPrivateRedis: (url) => adoptPrivateRedis(url, settings),
    output: { stdout: process.stdout, stderr: process.stderr, format: formatter() },
  });
  reopenOnHangUp(log, logging, output, () => launcher.hangUp());
  onStopSignals(launcher, logging.file === undefined ? undefined : ['SIGINT', 'SIGTERM']);
  return launcher.done;
}

function httpPort(name: ChildName, { httpPort: first }: StartOptions): string[] {
  if (first === undefined || name === 'reporter') return [];
  return ['--http-port', String(name === ALL_IN_ONE ? first : portOf(name, first))];
}

/** The Redis beside a configuration file has no other user, so a changed partition or controller is that of the same deployment. */
async function adoptPrivateRedis(url: string, settings: Settings): Promise<void> {
  const client = openOnce({ kind: 'single', url }, ANSWER_MS);
  try {
    await connectOnce(client, ANSWER_MS, () => adoptPrefix(client, settings));
  } catch (error) {
    if (!(error instanceof LayoutError)) throw error; // the processes report it
  } finally {
    client.disconnect();
  }
}

/** The children write to a pipe, so they log JSON. On a terminal it is shown in a readable form. */
function formatter(): (line: string) => string {
  if (!process.stdout.isTTY) return (line) => line;
  const pretty = prettyFactory({ colorize: true });
  return (line) => (line.startsWith('{') ? pretty(line).trimEnd() : line);
}
