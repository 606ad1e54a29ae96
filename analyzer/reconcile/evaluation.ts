import type { Droplet } from '../../common/model/droplet.ts';
import type { Deas } from '../../common/policy/liveness.ts';
import type { DecisionResult } from '../decide/decide.ts';

/** A droplet as it was read, and what follows. */
export interface Evaluation {
  droplet: Droplet;
  decided: DecisionResult;
  /** At least the DEAs of the droplet's instances. */
  deas: Deas;
  nowMs: number;
}
