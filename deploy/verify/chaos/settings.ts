/** Short intervals in the usual proportions, so that an hour holds hundreds of faults with a recovery after each. */
export const INTERVALS = {
  droplet_lost: 6,
  desired_state_update: 3,
  desired_state_lost: 12,
  postpone_update: 2,
  droplets_analysis: 5,
  flapping_death: 1,
  flapping_timeout: 15,
  min_restart_delay: 1,
  max_restart_delay: 4,
  delay_time_noise: 0.5,
  giveup_crash_number: 4,
  request_queue: 1,
  queue_batch_size: 200,
  droplet_gc: 10,
  droplet_gc_grace_period: 15,
  bulk_credentials_timeout: 1,
} as const;

export const MASS_LOSS = { fraction: 0.55, minimum_deas: 3, hold: 30 } as const;
export const MASS_DELETE = { fraction: 0.5, minimum_droplets: 10, hold: 60 } as const;

/** The heartbeat interval of a DEA: a few within `droplet_lost`, as with the usual settings. */
export const HEARTBEAT_MS = 1_000;

/** The simulated cloud: some 2,000 instances on fifty DEAs. */
export const DEAS = 50;
export const APPS = 400;
export const MAX_INSTANCES = 9;
export const SLICES = 64;
