import type { NatsConnection } from 'nats';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { parseJson } from '../json.ts';
import { DEMO } from '../stage/config.ts';

/** A restart must follow within this time after it is due, beside the noise. */
const PROMPT_S = 1;
/** Messages of two processes may arrive this much apart. */
const EARLY_S = 0.1;

/** The delay of the restart after a crash, and the tolerance in both directions. */
interface Expected {
  delayS: number;
  noiseS: number;
}

/**
 * Watches an app of one instance that always crashes. Verifies that each restart has its growing delay, and that
 * the app is given up in the end.
 */
export class CrashWatch {
  /** For each crash the time until the start that followed, in seconds. */
  readonly restarts: number[] = [];
  readonly #expected = expectedDelays();
  #crashes = 0;
  #crashedMs: number | undefined;
  #problem: string | undefined;

  constructor(droplet: string, nats: Pick<NatsConnection, 'subscribe'>) {
    const ofDroplet = Compile(Type.Object({ droplet: Type.Literal(droplet) }));
    const about = (text: string) => ofDroplet.Check(parseJson(text));
    nats.subscribe(SUBJECTS.exited, {
      callback: (error, message) => {
        if (error !== null || !about(message.string())) return;
        this.#crashes++;
        this.#crashedMs = performance.now();
      },
    });
    nats.subscribe(SUBJECTS.start, {
      callback: (error, message) => {
        if (error === null && about(message.string())) this.#started();
      },
    });
  }

  /** The first violation so far. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** True when the app has been given up: another restart would have come by now. Also after a violation. */
  get done(): boolean {
    if (this.#problem !== undefined) return true;
    if (this.#crashes <= this.#expected.length || this.#crashedMs === undefined) return false;
    const { max_restart_delay, delay_time_noise } = DEMO.intervals;
    return performance.now() - this.#crashedMs > (max_restart_delay + delay_time_noise + PROMPT_S) * 1000;
  }

  #started(): void {
    if (this.#crashedMs === undefined) return; // the initial start
    const gapS = (performance.now() - this.#crashedMs) / 1000;
    const expected = this.#expected[this.restarts.length];
    this.restarts.push(gapS);
    if (expected === undefined) {
      this.#problem ??= `started again after ${this.#crashes} crashes`;
    } else if (
      gapS < expected.delayS - expected.noiseS - EARLY_S ||
      gapS > expected.delayS + expected.noiseS + PROMPT_S
    ) {
      const is = `${gapS.toFixed(1)} s`;
      this.#problem ??= `restart ${this.restarts.length} came after ${is}, expected ${expected.delayS} s`;
    }
  }
}

/** As the policy defines: at once, then doubling up to the maximum, and none after `giveup_crash_number` crashes. */
function expectedDelays(): Expected[] {
  const { flapping_death, giveup_crash_number, min_restart_delay, max_restart_delay, delay_time_noise } =
    DEMO.intervals;
  return Array.from({ length: giveup_crash_number }, (_, at) => {
    const count = at + 1;
    if (count <= flapping_death) return { delayS: 0, noiseS: 0 };
    const delayS = Math.min(max_restart_delay, min_restart_delay * 2 ** (count - flapping_death - 1));
    return { delayS, noiseS: delay_time_noise };
  });
}
