import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Lifecycle } from '../../../common/runtime/lifecycle.ts';
import { instancesOf, isAlive } from '../fleet.ts';
import { type Stage, tailOf } from '../stage.ts';
import { type Line, tellStory } from '../story.ts';
import { checkSteps, type Step } from './check-steps.ts';
import { type Verdict, watchFairness } from './referee.ts';

/** One line of the check's outcome; `--json` writes them all. */
export interface Result {
  name: string;
  ok: boolean;
  /** From the fault to its healing; only of a step that was healed. */
  ms?: number;
  limitMs?: number;
  /** What else is to be said; of a failure: why. */
  detail?: string;
}

const POLL_MS = 10;
/** Lines of what happened that go with a failure. */
const STORY_LINES = 25;

/**
 * Breaks things one by one and waits until each is healed, under the eyes of a referee. Prints one line per
 * result, `ok   ...` or `FAIL ...`.
 *
 * @returns the exit code: 0 only if all was healed in time and nothing healthy was touched
 */
export async function runCheck(stage: Stage, lifecycle: Lifecycle, jsonFile?: string): Promise<number> {
  const beganMs = performance.now();
  const results: Result[] = [];
  const story: Line[] = [];
  tellStory(stage.cloud, stage.nats, (line) => story.push(line));
  const referee = watchFairness(stage.cloud, stage.nats);
  let ended: string | undefined;
  const startHealthManager = async () => {
    const manager = await stage.startHealthManager();
    void manager.exited.then((code) => {
      ended = `the health manager ended with exit code ${code}`;
    });
  };
  const give = (result: Result) => {
    results.push(result);
    process.stdout.write(`${lineOf(result)}\n`);
    if (!result.ok)
      for (const line of story.slice(-STORY_LINES)) process.stdout.write(`       ${tellLine(line)}\n`);
  };

  for (const step of checkSteps(stage, referee, startHealthManager)) {
    const result = await run(step, () => (lifecycle.signal.aborted ? 'interrupted' : ended));
    give(result);
    // What a later step begins with is what the earlier ones left healed.
    if (!result.ok) break;
  }
  // Before everything is ended: that is no fault of anybody.
  const verdict = referee.finish();
  give(judgement(verdict));
  if (results.some(({ ok }) => !ok)) {
    const log = join(stage.logDir, 'health_manager.log');
    process.stdout.write(`health manager's log (${log}) ends with:\n${tailOf(log)}\n`);
  }
  give(await leaving(stage, lifecycle));

  const seconds = (performance.now() - beganMs) / 1000;
  const failed = results.filter(({ ok }) => !ok).length;
  const ok = failed === 0;
  process.stdout.write(`check: ${results.length - failed} ok, ${failed} failed, ${seconds.toFixed(1)} s\n`);
  if (jsonFile !== undefined) {
    const report = { ok, seconds, results, ...verdict };
    writeFileSync(jsonFile, `${JSON.stringify(report, null, 2)}\n`);
  }
  return ok ? 0 : 1;
}

async function run(step: Step, hopeless: () => string | undefined): Promise<Result> {
  const { name, limitMs } = step;
  try {
    await step.fault();
  } catch (error) {
    return { name, ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
  const faultMs = performance.now();
  for (;;) {
    const lacking = step.lacking();
    const ms = Math.round(performance.now() - faultMs);
    if (lacking.length === 0) return healed(step, ms);
    const why = hopeless() ?? (ms > limitMs ? `not healed within ${limitMs} ms` : undefined);
    if (why !== undefined) return { name, ok: false, limitMs, detail: `${why}: ${lacking.join(', ')}` };
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

function judgement({ violations, starts, stops }: Verdict): Result {
  const clean = `of ${starts} starts and ${stops} stops asked for none was refused or touched anything healthy`;
  const ok = violations.length === 0;
  return { name: 'referee', ok, detail: ok ? clean : violations.join('; ') };
}

/** Ends everything and looks whether it is gone. */
async function leaving({ cloud }: Stage, lifecycle: Lifecycle): Promise<Result> {
  const pids = [...cloud.agents(), ...instancesOf(cloud.agents())].map(({ pid }) => pid);
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
  if (left.length > 0) return { name, ok: false, detail: `still there: pids ${left.join(', ')}` };
  return { name, ok: true, detail: 'no process was left behind' };
}

function lineOf({ name, ok, ms, limitMs, detail }: Result): string {
  const healing = ms === undefined ? '' : `healed in ${ms} ms (limit ${limitMs} ms)`;
  return `${ok ? 'ok  ' : 'FAIL'} ${name}: ${detail ?? healing}`;
}

function tellLine({ at, who, text }: Line): string {
  return `${at.toISOString().slice(11, 23)} ${who}: ${text}`;
}
