import type { NatsConnection } from 'nats';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { DEMO } from '../config.ts';
import { parseJson } from '../json.ts';

/** How fast a restart must follow when it is due, beside the noise. */
const PROMPT_S = 1;
/** Events of one process and of another are seen here with this much of a difference. */
const EARLY_S = 0.1;

/** What is to come after a crash: its latest delay in seconds and how much it may differ. */
interface Expected {
  delayS: number;
  noiseS: number;
}

/**
 * Watches an app of one instance that always crashes: that each restart has its delay, longer every time,
 * and that it is given up at last.
 */
export class CrashWatch {
  /** From each crash to the start that followed, in seconds. */
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

  /** What went wrong so far. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Not done before a further restart would have come by now. */
  get done(): boolean {
    if (this.#problem !== undefined) return true;
    if (this.#crashes <= this.#expected.length || this.#crashedMs === undefined) return false;
    const { max_restart_delay, delay_time_noise } = DEMO.intervals;
    return performance.now() - this.#crashedMs > (max_restart_delay + delay_time_noise + PROMPT_S) * 1000;
  }

  #started(): void {
    if (this.#crashedMs === undefined) return; // the first start of all
    const gapS = (performance.now() - this.#crashedMs) / 1000;
    const expected = this.#expected[this.restarts.length];
    this.restarts.push(gapS);
    if (expected === undefined) {
      this.#problem ??= `was started again after ${this.#crashes} crashes`;
    } else if (
      gapS < expected.delayS - expected.noiseS - EARLY_S ||
      gapS > expected.delayS + expected.noiseS + PROMPT_S
    ) {
      const is = `${gapS.toFixed(1)} s`;
      this.#problem ??= `restart ${this.restarts.length} came after ${is}, expected ${expected.delayS} s`;
    }
  }
}

/** By the policy: at once, then doubling up to the most, and after `giveup_crash_number` crashes no more. */
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
