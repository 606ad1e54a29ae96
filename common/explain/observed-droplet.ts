import type { Droplet } from '../model/droplet.ts';
import type { Deas } from '../policy/fleet/liveness.ts';
import type { PolicySettings } from '../policy/settings.ts';

/** A droplet at one moment. */
export interface ObservedDroplet {
  droplet: Droplet;
  /** At least the DEAs of its instances, as far as they are known. */
  deas: Deas;
  /** Epoch ms on Redis's clock. */
  nowMs: number;
  /** What was last listed before this time is lost (epoch ms). */
  lostBeforeMs: number;
  settings: PolicySettings;
}
