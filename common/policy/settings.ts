/** The numbers of the policy, in milliseconds where they are times. Filled from the configuration. */
export interface PolicySettings {
  /** An instance unheard for longer is missing. */
  dropletLostMs: number;
  /** Without a successful pass for longer the desired state is not known well enough to act on. */
  desiredStateLostMs: number;
  /** Crashes of a slot above this count, within `flappingTimeoutMs`, are flapping. */
  flappingDeath: number;
  flappingTimeoutMs: number;
  minRestartDelayMs: number;
  maxRestartDelayMs: number;
  /** The most that chance adds to or takes from a restart delay. */
  delayTimeNoiseMs: number;
  /** Above this count a slot is given up; 0 or negative: never. */
  giveupCrashNumber: number;
  /** Every droplet is looked at least this often. */
  dropletsAnalysisMs: number;
  dropletGcMs: number;
  dropletGcGraceMs: number;
  massLoss: { fraction: number; minimumDeas: number; holdMs: number };
  massDelete: { fraction: number; minimumDroplets: number; holdMs: number };
}
