import type { Droplet } from '../../common/model/droplet.ts';
import type { Deas } from '../../common/policy/fleet/liveness.ts';
import type { DecisionResult } from '../decide/decide.ts';

/** A droplet as it was read, and what was decided about it. */
export interface Evaluation {
  droplet: Droplet;
  decided: DecisionResult;
  /** At least the known DEAs of the droplet's instances. */
  deas: Deas;
  /** Time of the decision (epoch ms on Redis's clock). */
  nowMs: number;
  /** What was last listed before this time is lost (epoch ms). */
  lostBeforeMs: number;
}
