import { rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { Lifecycle } from '../../common/runtime/lifecycle.ts';
import { packageRoot } from '../../common/runtime/package-root.ts';
import { runCheck } from './check/check.ts';
import { DEMO_LOGIN } from './config.ts';
import { demoDir } from './demo-dir.ts';
import { differences } from './fleet.ts';
import { hintsOf, openDemoScreen } from './screen.ts';
import { type Stage, setStage, tailOf } from './stage.ts';
import { type Line, tellStory } from './story.ts';

const HELP = `Usage: hm demo [--plain]
       hm demo --check [--json FILE]

A small cloud on this machine, with the health manager that keeps it as it should be: Redis, NATS, a
controller and three agents that run real processes. Kill them, edit the apps, and watch.
Everything that it writes is in .hm/demo/, apps.yml too, fresh at every start. Ctrl-C ends all of it.

  --plain      lines instead of a screen (as when the output is no terminal)
  --check      breaks things by itself, says how long each took to heal; exit code 0 only if all was
               healed and nothing healthy was touched
  --json FILE  with --check: the results as JSON, too
  -h, --help   print this help
`;

/** Enough time for the health manager to end within its own 10 s. */
const STEP_MS = 12_000;
const STORY_LINES = 500;
const OK = 0;
const FAILED = 1;
const USAGE = 64;

/**
 * The demo's command line.
 *
 * @returns the exit code
 * @throws UnavailableError when a program or a port is not to be had, or the folder is in use
 */
export async function runDemo(argv: string[]): Promise<number> {
  const options = parse(argv);
  if (typeof options === 'string') {
    process.stderr.write(`hm demo: ${options}\n${HELP}`);
    return USAGE;
  }
  if (options.help) {
    process.stdout.write(HELP);
    return OK;
  }
  const lifecycle = new Lifecycle({ stepMs: STEP_MS });
  const giveBackSignals = stopOnSignals(lifecycle);
  // A check has a folder of its own: it must not be in the way of the demo, nor of another check.
  const dir = options.check ? join(packageRoot, '.hm', `check-${process.pid}`) : demoDir;
  let code = FAILED;
  try {
    const stage = await setStage(dir, lifecycle);
    code = options.check
      ? await runCheck(stage, lifecycle, options.json)
      : await perform(stage, lifecycle, options.plain);
  } catch (error) {
    // A Ctrl-C while it is being set up ends the set-up with an error that says nothing more.
    if (!lifecycle.signal.aborted) throw error;
    code = options.check ? FAILED : OK;
  } finally {
    await lifecycle.stop();
    giveBackSignals();
    rmSync(join(dir, 'redis', String(process.pid)), { recursive: true, force: true });
    if (options.check && code === OK) rmSync(dir, { recursive: true, force: true });
  }
  return code;
}

function parse(argv: string[]) {
  try {
    const { values } = parseArgs({
      args: argv,
      options: {
        check: { type: 'boolean', default: false },
        plain: { type: 'boolean', default: false },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    return values.json !== undefined && !values.check ? '--json needs --check' : values;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Runs until Ctrl-C, or until the health manager cannot run. */
async function perform(stage: Stage, lifecycle: Lifecycle, plain: boolean): Promise<number> {
  const story: Line[] = [];
  const places = placesOf(stage);
  const screen = process.stdout.isTTY && !plain;
  tellStory(stage.cloud, stage.nats, (line) => {
    story.push(line);
    if (story.length > STORY_LINES) story.shift();
    if (!screen) process.stdout.write(`${line.at.toISOString()} ${line.who}: ${line.text}\n`);
  });
  if (screen) {
    const { cloud, appsFile } = stage;
    const close = openDemoScreen(process.stdout, () => ({
      ...{ apps: cloud.apps(), agents: cloud.agents(), story, appsFile, places, nowMs: performance.now() },
    }));
    lifecycle.onStop('screen', close);
  } else {
    process.stdout.write(`${places.join('\n')}\n`);
    sayWhenWhole(stage);
  }
  const manager = await stage.startHealthManager();
  const stopped = new Promise<'stopped'>((resolve) => {
    lifecycle.signal.addEventListener('abort', () => resolve('stopped'));
    if (lifecycle.signal.aborted) resolve('stopped');
  });
  const end = await Promise.race([manager.exited, stopped]);
  if (end === 'stopped' || lifecycle.signal.aborted) return OK;
  await lifecycle.stop();
  const log = join(stage.logDir, 'health_manager.log');
  process.stderr.write(`hm demo: the health manager ended with exit code ${end} (${log}):\n${tailOf(log)}\n`);
  return FAILED;
}

/** A line whenever the cloud has become as it should be; the first time also what there is to try. */
function sayWhenWhole({ cloud, appsFile }: Stage): void {
  let whole = false;
  let hinted = false;
  cloud.events.on('event', () => {
    const now = differences(cloud.apps(), cloud.agents()).length === 0;
    if (now && !whole) process.stdout.write(`${new Date().toISOString()} cloud: is as it should be\n`);
    if (now && !hinted) {
      hinted = true;
      process.stdout.write(
        `${hintsOf({ apps: cloud.apps(), agents: cloud.agents(), appsFile }).join('\n')}\n`,
      );
    }
    whole = now;
  });
}

function placesOf(stage: Stage): string[] {
  const { user, password } = DEMO_LOGIN;
  return [
    `Redis ${stage.redisUrl}   NATS ${stage.natsUrl}   logs ${relative(process.cwd(), stage.logDir) || '.'}`,
    `dashboard http://${user}:${password}@127.0.0.1:${stage.statusPort}/`,
  ];
}

/** One Ctrl-C may arrive twice: from the terminal, and passed on by npm. Only a later one means "at once". */
const SAME_CTRL_C_MS = 500;
const FORCED = 130;

function stopOnSignals(lifecycle: Lifecycle): () => void {
  let askedMs: number | undefined;
  const ask = () => {
    // What is still there ends with this process: the guards see to it.
    if (askedMs !== undefined && performance.now() - askedMs > SAME_CTRL_C_MS) process.exit(FORCED);
    askedMs ??= performance.now();
    // Whoever waits for the stop, below, reports its failure.
    lifecycle.stop().catch(() => {});
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, ask);
  // Nobody reads our output any more (`hm demo | head`): as good as a Ctrl-C.
  process.stdout.on('error', ask);
  return () => {
    for (const signal of signals) process.off(signal, ask);
  };
}
