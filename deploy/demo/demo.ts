import { rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { EXIT } from '../../common/runtime/lifecycle/exit-codes.ts';
import { Lifecycle } from '../../common/runtime/lifecycle/lifecycle.ts';
import { onStopSignals } from '../run/stop-signals.ts';
import { runCheck } from './check/check.ts';
import { differences } from './cloud/fleet.ts';
import { followManager, HoldStory, type ManagerView, STARTING } from './show/manager.ts';
import { hintsOf, openDemoScreen } from './show/screen.ts';
import { followStory, type Line } from './show/story.ts';
import { DEMO_LOGIN, patienceOf } from './stage/config.ts';
import { demoDir, stateDir } from './stage/demo-dir.ts';
import { type Stage, setStage, tailOf } from './stage/stage.ts';

const HELP = `Usage: hm demo [--plain]
       hm demo --check [--json FILE]

Runs a small cloud on this machine, and the health manager that keeps it in its desired state: Redis, NATS, a
controller and three DEAs that run apps as real processes. Kill processes, edit the apps, and watch.
All files are new at every start, the apps file apps.yml too. Ctrl-C ends everything. Their folder here:
${demoDir}

  --plain      lines instead of a screen (the default when the output is no terminal)
  --check      injects faults one by one and shows how long each took to heal; exit code 0 only if all were
               healed and no healthy instance was affected
  --json FILE  with --check: writes the results to a file as JSON, too
  -h, --help   print this help
`;

/** Longer than the 10 s of the health manager's orderly stop. */
const STEP_MS = 12_000;
const STORY_LINES = 500;

/**
 * `hm demo`
 *
 * @returns the exit code
 * @throws UnavailableError when a program or port is not available, or another demo uses the folder
 */
export async function runDemo(argv: string[]): Promise<number> {
  const options = parse(argv);
  if (typeof options === 'string') {
    process.stderr.write(`hm demo: ${options}\n${HELP}`);
    return EXIT.usage;
  }
  if (options.help) {
    process.stdout.write(HELP);
    return EXIT.done;
  }
  const lifecycle = new Lifecycle({ stepMs: STEP_MS });
  const releaseSignals = stopOnSignals(lifecycle);
  // A check has a folder of its own, so that it can run beside the demo and other checks.
  const dir = options.check ? join(stateDir, `check-${process.pid}`) : demoDir;
  let code: number = EXIT.failed;
  if (process.stdout.isTTY && !options.check)
    process.stdout.write('hm demo: starting Redis, NATS, a controller and three DEAs\n');
  try {
    const stage = await setStage(dir, lifecycle, !options.check);
    code = options.check
      ? await runCheck(stage, lifecycle, options.json)
      : await showDemo(stage, lifecycle, options.plain);
  } catch (error) {
    // A Ctrl-C during the start makes the start fail, which is no error.
    if (!lifecycle.signal.aborted) throw error;
    code = options.check ? EXIT.failed : EXIT.done;
  } finally {
    await lifecycle.stop();
    releaseSignals();
    if (!options.check && process.stdout.isTTY)
      process.stdout.write(`hm demo: ended, nothing of it runs any more; logs: ${join(dir, 'logs')}\n`);
    rmSync(join(dir, 'redis', String(process.pid)), { recursive: true, force: true });
    if (options.check && code === EXIT.done) rmSync(dir, { recursive: true, force: true });
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

/** Runs until Ctrl-C, or until the health manager ends. */
async function showDemo(stage: Stage, lifecycle: Lifecycle, plain: boolean): Promise<number> {
  const story: Line[] = [];
  const places = placesOf(stage);
  let manager = STARTING;
  const holds = new HoldStory(stage.patience);
  const screen = process.stdout.isTTY && !plain;
  const tell = (line: Line) => {
    story.push(line);
    if (story.length > STORY_LINES) story.shift();
    if (!screen) process.stdout.write(`${line.at.toISOString()} ${line.source}: ${line.text}\n`);
  };
  followStory(stage.cloud, stage.nats, tell, stage.patience);
  const busy = busyText(stage);
  if (busy !== '') tell({ at: new Date(), source: 'demo', kind: 'trouble', text: busy });
  followManager(stage.statusPort, lifecycle, (now) => {
    for (const { text, isOver } of holds.read(now))
      tell({ at: new Date(), source: 'health manager', kind: isOver ? 'effect' : 'trouble', text });
    if (!screen && now.text !== manager.text && now.level !== manager.level)
      tell({ at: new Date(), source: 'health manager', kind: 'decision', text: now.text });
    manager = now;
  });
  if (screen) {
    const { cloud } = stage;
    const close = openDemoScreen(process.stdout, () => ({
      ...{ apps: cloud.apps(), deas: cloud.deas(), story, places, manager, nowMs: performance.now() },
      appsFile: shorter(stage.appsFile),
    }));
    lifecycle.onStop('screen', close);
  } else {
    process.stdout.write(`${places.join('\n')}\n`);
    reportConvergence(stage, () => manager);
  }
  const started = await stage.startHealthManager();
  const stopped = new Promise<'stopped'>((resolve) => {
    lifecycle.signal.addEventListener('abort', () => resolve('stopped'));
    if (lifecycle.signal.aborted) resolve('stopped');
  });
  const end = await Promise.race([started.exited, stopped]);
  if (end === 'stopped' || lifecycle.signal.aborted) return EXIT.done;
  await lifecycle.stop();
  const log = join(stage.logDir, 'health_manager.log');
  process.stderr.write(`hm demo: the health manager ended with exit code ${end} (${log}):\n${tailOf(log)}\n`);
  return EXIT.failed;
}

/** Writes a line whenever the actual state has become the desired state; the first time also the hints. */
function reportConvergence(stage: Stage, manager: () => ManagerView): void {
  const { cloud } = stage;
  let converged = false;
  let hinted = false;
  cloud.events.on('event', () => {
    const now = differences(cloud.apps(), cloud.deas()).length === 0;
    if (now && !converged)
      process.stdout.write(`${new Date().toISOString()} cloud: is in its desired state\n`);
    if (now && !hinted) {
      hinted = true;
      const view = {
        apps: cloud.apps(),
        deas: cloud.deas(),
        manager: manager(),
        appsFile: shorter(stage.appsFile),
      };
      process.stdout.write(`${hintsOf(view).join('\n')}\n`);
    }
    converged = now;
  });
}

/** That the health manager waits longer, because timers of the start ran late; empty: it does not. */
export function busyText({ patience, lateMs }: Pick<Stage, 'patience' | 'lateMs'>): string {
  const usual = patienceOf(1).lost;
  if (patience.lost === usual) return '';
  return `this machine is busy (timers ran ${(lateMs / 1000).toFixed(1)} s late): the health manager waits ${patience.lost} s for a heartbeat instead of ${usual} s`;
}

/** The path as a shell takes it: from the working directory or the home, if that is shorter. */
function shorter(path: string): string {
  const home = `${homedir()}/`;
  const named = path.startsWith(home) ? `~/${path.slice(home.length)}` : path;
  const short = relative(process.cwd(), path);
  return short.length < named.length ? short : named;
}

function placesOf(stage: Stage): string[] {
  const { user, password } = DEMO_LOGIN;
  // The last one is shown on every terminal.
  return [
    `Redis ${stage.redisUrl}   NATS ${stage.natsUrl}   logs ${shorter(stage.logDir)}`,
    `dashboard http://${user}:${password}@127.0.0.1:${stage.statusPort}/`,
  ];
}

const FORCED = 130;

function stopOnSignals(lifecycle: Lifecycle): () => void {
  return onStopSignals({
    // An error of the stop is reported by `runDemo`, which waits for it.
    stop: () => void lifecycle.stop().catch(() => {}),
    // The guards end the child processes when this process exits.
    force: () => process.exit(FORCED),
  });
}
