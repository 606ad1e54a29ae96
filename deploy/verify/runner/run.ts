/** `npm test` after the set-up: runs every step and prints a summary. The last line is always `N passed, N failed`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Dialect } from '../../../common/messages/dialects/dialects.ts';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { hmProgram } from '../../run/hm-program.ts';
import { ROW_GROUPS } from '../bench/rows/all-rows.ts';
import { type Count, countBench, countDemo, countVitest, lastLine } from './count.ts';

/** A step that takes longer hangs; on an idle machine no step takes a quarter of this. */
const STEP_TIMEOUT_MS = 25 * 60_000;
/** A step that has not stopped this long after SIGTERM is killed. */
const STOP_TIMEOUT_MS = 20_000;

interface Step {
  name: string;
  run(): Promise<Count>;
}

let current: ChildProcess | undefined;

/**
 * Runs a program and shows its output.
 *
 * @returns its exit code
 */
async function show(program: string, args: string[]): Promise<number | null> {
  const child = spawn(program, args, { cwd: packageRoot, stdio: ['ignore', 'inherit', 'inherit'] });
  current = child;
  const timers = [
    setTimeout(() => {
      console.log(`took more than ${STEP_TIMEOUT_MS / 60_000} minutes and is stopped`);
      child.kill('SIGTERM');
    }, STEP_TIMEOUT_MS),
    setTimeout(() => child.kill('SIGKILL'), STEP_TIMEOUT_MS + STOP_TIMEOUT_MS),
  ];
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      console.log(error.message);
      resolve(1);
    });
    child.once('close', resolve);
  });
  for (const timer of timers) clearTimeout(timer);
  current = undefined;
  return code;
}

function tool(name: string, args: string[]): () => Promise<Count> {
  return async () => {
    const code = await show(join(packageRoot, 'node_modules', '.bin', name), args);
    return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
  };
}

async function withReport(count: (file: string) => Promise<Count>): Promise<Count> {
  const folder = mkdtempSync(join(tmpdir(), 'hm-test-'));
  try {
    return await count(join(folder, 'report.json'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function vitest(report: string, files: readonly string[] = []): Promise<Count> {
  const args = ['run', ...files, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  return countVitest(report, await show(join(packageRoot, 'node_modules', '.bin', 'vitest'), args));
}

/** The scenarios that a cluster affects most: several copies, queues, restarts and the rights of the Redis user. */
const ON_CLUSTER = ['several-copies', 'queue', 'restarts', 'redis-acl'].map(
  (name) => `deploy/verify/scenarios/${name}.test.ts`,
);

async function onCluster(report: string): Promise<Count> {
  process.env.HM_TEST_REDIS = 'cluster';
  try {
    return await vitest(report, ON_CLUSTER);
  } finally {
    delete process.env.HM_TEST_REDIS;
  }
}

/** What is decided, and what follows from it. */
const OF_DECISIONS = [
  ...['starts', 'stops', 'crashes', 'flapping', 'evacuations', 'duplicates', 'mass-loss'],
  ...['updates', 'cleanup', 'desired-state-holds', 'actual-not-fresh', 'listening-time'],
  ...['operator', 'restarts', 'several-copies', 'bulk-faults', 'self-healing'],
  ...['real-deas', 'decision-log'],
].map((name) => `deploy/verify/scenarios/${name}.test.ts`);

/** The other scenarios run with dialect hm2; those of hm9000's suite with all dialects. */
function withDialect(dialect: Dialect): (report: string) => Promise<Count> {
  return async (report) => {
    process.env.HM_TEST_DIALECT = dialect;
    try {
      return await vitest(report, OF_DECISIONS);
    } finally {
      delete process.env.HM_TEST_DIALECT;
    }
  };
}

async function demo(report: string): Promise<Count> {
  const main = hmProgram;
  return countDemo(report, await show(process.execPath, [main, 'demo', '--check', '--json', report]));
}

/** The kinds of faults of which an hour was without a problem; the newer ones are drawn by `npm run chaos` only (resilience.md). */
const PROVEN_KINDS = [
  ...['process killed', 'process restarted', 'all of a kind killed', 'process stopped', 'process frozen'],
  ...['process frozen for good', 'clock shifted', 'Redis killed', 'Redis emptied', 'Redis stopped'],
  ...['Redis slow', 'Redis refuses writes', 'Redis keys deleted', 'Redis fields edited', 'NATS killed'],
  ...['NATS slow', 'connections cut midway', 'connection stalled', 'controller down', 'controller slow'],
  ...['controller replies with nonsense', 'no room for a tenth of the slots'],
];

/** The same seeds meet other moments each time, so a second run tells a rare problem that resilience.md lists from a new one. */
async function atMostTwice(name: string, run: () => Promise<number | null>): Promise<Count> {
  if ((await run()) === 0) return { passed: 1, failed: 0, skipped: 0 };
  console.log(`WARNING: ${name} found a problem; the same seeds again`);
  const isRight = (await run()) === 0;
  return isRight ? { passed: 1, failed: 0, skipped: 1 } : { passed: 0, failed: 1, skipped: 0 };
}

/** One minute of three seeds in parallel, since they wait more than they compute. */
function chaos(): Promise<Count> {
  const main = join(packageRoot, 'dist', 'deploy', 'verify', 'chaos', 'main.js');
  const args = [main, '--seconds', '60', '--seed', '1', '2', '3', '--kinds', ...PROVEN_KINDS];
  return atMostTwice('chaos', () => show(process.execPath, args));
}

const SIMULATE = join(packageRoot, 'dist', 'deploy', 'verify', 'simulate', 'main.js');
/** Few episodes a seed, so that many sizes of deployments are tried in a short time. The shortest history would take an hour. */
const simulate = ({ days, seconds, seed }: { days: number; seconds: number; seed: number }) =>
  show(process.execPath, [
    SIMULATE,
    ...`--days ${days} --episodes 4 --no-shrink --seconds ${seconds} --seed ${seed}`.split(' '),
  ]);

/** Seeds that were clean with twelve episodes each. What is open of others is in resilience.md. */
const FIRST_SEED = 3001;

/** The same seeds every time, however fast the machine is, so a problem is one of the last change. */
const fixedSimulation = () =>
  atMostTwice('the simulation', () => simulate({ days: 30, seconds: 180, seed: FIRST_SEED }));

/** Seeds that nobody has tried may find what is as old as the code: a problem counts as skipped, with a warning. */
async function simulationOfTheDay(): Promise<Count> {
  const seed = today();
  if ((await simulate({ days: 1000, seconds: 60, seed })) === 0) return { passed: 1, failed: 0, skipped: 0 };
  console.log(`WARNING: the simulation found a problem (from seed ${seed} on)`);
  return { passed: 0, failed: 0, skipped: 1 };
}

/** The date as a number: seeds that nobody has tried. */
const today = () => Number(new Date().toISOString().slice(0, 10).replaceAll('-', ''));

/** Machines differ and may be shared, so a ratio fails only if it is this many times worse than its target. */
const AT_WORST = '20';

/** GROWTH waits ten minutes for its steps, and compares what the other rows check. */
const ROWS = ROW_GROUPS.flatMap(({ rows }) => rows).filter((row) => row !== 'GROWTH');

/** The rows of the benchmark at a twentieth of their size: nothing may be lost or invented, and no ratio far off its target. */
async function bench(report: string): Promise<Count> {
  const main = join(packageRoot, 'dist', 'deploy', 'verify', 'bench', 'main.js');
  const args = [main, ...ROWS, '--quick', '--at-worst', AT_WORST, '--json', report];
  return countBench(report, await show(process.execPath, args));
}

const steps: Step[] = [
  { name: 'types', run: tool('tsc', ['--noEmit', '-p', '.']) },
  { name: "dashboard's types", run: tool('tsc', ['-p', 'reporter/dashboard']) },
  { name: 'lint and format', run: tool('biome', ['check']) },
  { name: 'tests', run: () => withReport((report) => vitest(report)) },
  { name: 'on a Redis Cluster', run: () => withReport(onCluster) },
  { name: 'with dialect hm9000-nats', run: () => withReport(withDialect('hm9000-nats')) },
  { name: 'with dialect hm9000-http', run: () => withReport(withDialect('hm9000-http')) },
  { name: 'demo --check', run: () => withReport(demo) },
  { name: 'bench --quick', run: () => withReport(bench) },
  { name: 'chaos', run: chaos },
  { name: 'simulation', run: fixedSimulation },
  { name: 'simulation of the day (warns)', run: simulationOfTheDay },
];

// A signal to this process alone stops the step first. A terminal's Ctrl-C reaches the step as well.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    steps.length = 0;
    const code = signal === 'SIGINT' ? 130 : 143;
    if (!current) process.exit(code);
    current.once('close', () => process.exit(code));
    current.kill(signal);
  });
}

const results: { name: string; count: Count; seconds: number }[] = [];
for (const { name, run } of steps) {
  console.log(`\n== ${name}`);
  const beganMs = performance.now();
  const count = await run();
  results.push({ name, count, seconds: (performance.now() - beganMs) / 1000 });
}

console.log('\n== summary');
for (const { name, count, seconds } of results) {
  const mark = count.failed === 0 ? 'ok    ' : 'FAILED';
  console.log(`${mark} ${name.padEnd(16)} ${lastLine([count])} (${seconds.toFixed(1)} s)`);
  for (const failure of count.failures ?? []) console.log(`         ${failure}`);
}
console.log(lastLine(results.map(({ count }) => count)));
process.exitCode = results.some(({ count }) => count.failed > 0) ? 1 : 0;
