import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Lifecycle } from '../../../common/runtime/lifecycle/lifecycle.ts';
import { isAlive } from '../../run/launcher/process-table.ts';
import { instancesOf } from '../cloud/fleet.ts';
import { followStory, type Line } from '../show/story.ts';
import { type Stage, tailOf } from '../stage/stage.ts';
import { checkSteps, type Step } from './check-steps.ts';
import { type Verdict, watchFairness } from './referee.ts';

/** The result of one step; `--json` writes all of them. */
export interface Result {
  name: string;
  ok: boolean;
  /** The time from the fault to its healing; absent when it was not healed. */
  ms?: number;
  limitMs?: number;
  /** Further facts; of a failure: the reason. */
  detail?: string;
}

const POLL_MS = 10;
/** The number of latest events that are shown with a failure. */
const STORY_LINES = 25;

/**
 * Injects faults one by one and waits until each is healed, while a referee watches. Prints one line for each
 * result, `ok   ...` or `FAIL ...`.
 *
 * @returns the exit code: 0 only if all faults were healed in time and no healthy instance was affected
 */
export async function runCheck(stage: Stage, lifecycle: Lifecycle, jsonFile?: string): Promise<number> {
  const beganMs = performance.now();
  const results: Result[] = [];
  const story: Line[] = [];
  followStory(stage.cloud, stage.nats, (line) => story.push(line), stage.patience);
  const referee = watchFairness(stage.cloud, stage.nats);
  let ended: string | undefined;
  const startHealthManager = async () => {
    const manager = await stage.startHealthManager();
    void manager.exited.then((code) => {
      ended = `the health manager ended with exit code ${code}`;
    });
  };
  const report = (result: Result) => {
    results.push(result);
    process.stdout.write(`${lineOf(result)}\n`);
    if (!result.ok)
      for (const line of story.slice(-STORY_LINES)) process.stdout.write(`       ${textOf(line)}\n`);
  };

  for (const step of checkSteps(stage, referee, startHealthManager)) {
    const result = await run(step, () => (lifecycle.signal.aborted ? 'interrupted' : ended));
    report(result);
    // A step begins with the healed cloud of the steps before it.
    if (!result.ok) break;
  }
  // Before everything is stopped, because the referee would count those stops.
  const verdict = referee.finish();
  report(resultOf(verdict));
  if (results.some(({ ok }) => !ok)) {
    const log = join(stage.logDir, 'health_manager.log');
    process.stdout.write(`health manager's log (${log}) ends with:\n${tailOf(log)}\n`);
  }
  report(await endAll(stage, lifecycle));

  const seconds = (performance.now() - beganMs) / 1000;
  const failed = results.filter(({ ok }) => !ok).length;
  const ok = failed === 0;
  process.stdout.write(`check: ${results.length - failed} ok, ${failed} failed, ${seconds.toFixed(1)} s\n`);
  if (jsonFile !== undefined) {
    const json = { ok, seconds, results, ...verdict };
    writeFileSync(jsonFile, `${JSON.stringify(json, null, 2)}\n`);
  }
  return ok ? 0 : 1;
}

/** @param failure the reason to give up at once, if there is one */
async function run(step: Step, failure: () => string | undefined): Promise<Result> {
  const { name, limitMs } = step;
  try {
    await step.fault();
  } catch (error) {
    return { name, ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
  const faultMs = performance.now();
  for (;;) {
    const pending = step.pending();
    const ms = Math.round(performance.now() - faultMs);
    if (pending.length === 0) return healed(step, ms);
    const why = failure() ?? (ms > limitMs ? `not healed within ${limitMs} ms` : undefined);
    if (why !== undefined) return { name, ok: false, limitMs, detail: `${why}: ${pending.join(', ')}` };
    await delay(POLL_MS);
  }
}

function healed(step: Step, ms: number): Result {
  const { name, limitMs } = step;
  const wrong = step.verify?.() ?? (ms > limitMs ? `healed in ${ms} ms, limit ${limitMs} ms` : undefined);
  if (wrong !== undefined) return { name, ok: false, ms, limitMs, detail: wrong };
  const detail = step.result?.();
  return { name, ok: true, ms, limitMs, ...(detail !== undefined && { detail }) };
}

function resultOf({ violations, starts, stops }: Verdict): Result {
  const clean = `${starts} starts and ${stops} stops were requested; none was refused or affected a healthy instance`;
  const ok = violations.length === 0;
  return { name: 'referee', ok, detail: ok ? clean : violations.join('; ') };
}

/** Ends all processes and verifies that none is left. */
async function endAll({ cloud }: Stage, lifecycle: Lifecycle): Promise<Result> {
  const pids = [...cloud.deas(), ...instancesOf(cloud.deas())].map(({ pid }) => pid);
  const name = 'end';
  try {
    await lifecycle.stop();
  } catch (error) {
    return {
      name,
      ok: false,
      detail: error instanceof Error ? `${error.message}: ${error.cause}` : String(error),
    };
  }
  const left = pids.filter(isAlive);
  if (left.length > 0) return { name, ok: false, detail: `processes left: pids ${left.join(', ')}` };
  return { name, ok: true, detail: 'no process is left' };
}

function lineOf({ name, ok, ms, limitMs, detail }: Result): string {
  const healing = ms === undefined ? '' : `healed in ${ms} ms (limit ${limitMs} ms)`;
  return `${ok ? 'ok  ' : 'FAIL'} ${name}: ${detail ?? healing}`;
}

function textOf({ at, source, text }: Line): string {
  return `${at.toISOString().slice(11, 23)} ${source}: ${text}`;
}
