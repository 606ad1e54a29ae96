/** The settings that decisions depend on; times in milliseconds. Filled from the configuration. */
export interface PolicySettings {
  /** An instance without a heartbeat for longer is missing. See `thresholds.ts` for all that follows from it. */
  dropletLostMs: number;
  /** Without a successful pass for longer, the desired state is too old to act on. */
  desiredStateLostMs: number;
  /** A slot with more crashes, each within `flappingTimeoutMs` of the one before, is flapping. */
  flappingDeath: number;
  flappingTimeoutMs: number;
  minRestartDelayMs: number;
  maxRestartDelayMs: number;
  /** Restart delays differ at random by at most this. */
  delayTimeNoiseMs: number;
  /** A slot with more crashes is given up; 0 or negative: never. */
  giveupCrashNumber: number;
  /** While every wanted index of a droplet has crashed and none runs, only index 0 is restarted. */
  probeCrashedApps: boolean;
  /** Every droplet is reconciled at least this often. */
  dropletsAnalysisMs: number;
  dropletGcMs: number;
  dropletGcGraceMs: number;
  massLoss: { fraction: number; minimumDeas: number; holdMs: number };
  massDelete: { fraction: number; minimumDroplets: number; holdMs: number };
}
