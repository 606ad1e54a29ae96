import type { Droplet } from '../../common/model/droplet.ts';
import type { Deas } from '../../common/policy/liveness.ts';
import type { Decided } from '../decide/decide.ts';

/** A droplet as it was read, and what follows. */
export interface Looked {
  droplet: Droplet;
  decided: Decided;
  /** At least the DEAs of the droplet's instances. */
  deas: Deas;
  nowMs: number;
}
