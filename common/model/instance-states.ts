/** The states that DEAs and controllers report. Each list stands here once; types and schemas are derived from it. */

/** DEAs report more states than those that have a meaning here (RESUMING, STOPPED, ...). All others count as not running. */
export type InstanceState = string;

/** States of an instance that runs. STARTING and RUNNING are also *live*; EVACUATING is not live for its slot. */
export type ActiveState = 'STARTING' | 'RUNNING' | 'EVACUATING';

export function isLiveState(state: InstanceState): state is 'STARTING' | 'RUNNING' {
  return state === 'RUNNING' || state === 'STARTING';
}

export function isActiveState(state: InstanceState): state is ActiveState {
  return isLiveState(state) || state === 'EVACUATING';
}

/** What a controller wants of an app. */
export const APP_STATES = ['STARTED', 'STOPPED'] as const;
export type AppState = (typeof APP_STATES)[number];

/** Only an app with a STAGED package can be started. */
export const PACKAGE_STATES = ['STAGED', 'PENDING', 'FAILED'] as const;
export type PackageState = (typeof PACKAGE_STATES)[number];
