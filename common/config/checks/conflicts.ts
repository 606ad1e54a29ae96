/** Settings that are valid one by one, and do not fit together. */
import type { Path } from '../options.ts';
import type { Settings } from '../settings.ts';
import { type TlsSection, tlsWarnings } from '../tls.ts';

/** A warning for each pair of settings that do not fit together, by the key to change. */
export function conflicts({ policy, syncPeriodMs, status }: Settings): [Path, string][] {
  const found: [Path, string][] = [];
  if (syncPeriodMs >= policy.desiredStateLostMs) {
    found.push([
      'intervals.desired_state_update',
      `expected less than intervals.desired_state_lost (${seconds(policy.desiredStateLostMs)}), got ${seconds(syncPeriodMs)}: the desired state is too old to act on before the next bulk sync`,
    ]);
  }
  const delayMs = largestRestartDelayMs(policy);
  if (policy.flappingTimeoutMs <= delayMs) {
    found.push([
      'intervals.flapping_timeout',
      `expected more than the largest restart delay (${seconds(delayMs)}), got ${seconds(policy.flappingTimeoutMs)}: each restart begins a new crash count, so no slot is ever given up`,
    ]);
  }
  if (policy.minRestartDelayMs > policy.maxRestartDelayMs) {
    found.push([
      'intervals.min_restart_delay',
      `expected at most intervals.max_restart_delay (${seconds(policy.maxRestartDelayMs)}), got ${seconds(policy.minRestartDelayMs)}: every delay is the shorter one`,
    ]);
  }
  if (status.loginGiven !== true) {
    found.push([
      'status.user',
      'expected status.user and status.password (or STATUS_USER and STATUS_PASSWORD), got a random login: nobody can log in to the status page',
    ]);
  }
  return found;
}

/** What is doubtful about the TLS settings, by the key to change. */
export function tlsConflicts(settings: Settings, nowMs: number): [string, string][] {
  const { mbus, redis, bulkApi, heartbeatApi, dialect } = settings;
  const sections: [TlsSection | 'heartbeat_api', Parameters<typeof tlsWarnings>[0] | undefined][] = [
    ['nats.tls', mbus.tlsFiles],
    ['redis.tls', redis?.tls],
    ['bulk_api.tls', bulkApi.tls],
    ['heartbeat_api', heartbeatApi],
  ];
  const warnings = sections.flatMap(([section, tls]) =>
    (tls === undefined ? [] : tlsWarnings(tls, nowMs)).map(([key, text]): [string, string] => [
      `${section}.${key}`,
      text,
    ]),
  );
  if (bulkApi.tls !== undefined && !bulkApi.host.startsWith('https:'))
    warnings.push([
      'bulk_api.tls',
      `expected an https:// URL in bulk_api.host, got ${new URL(bulkApi.host).protocol}//: there is no TLS`,
    ]);
  if (heartbeatApi !== undefined && dialect !== 'hm9000-http')
    warnings.push([
      'heartbeat_api',
      `expected dialect hm9000-http with it, got ${dialect}: heartbeats are received over NATS only`,
    ]);
  if (heartbeatApi === undefined && dialect === 'hm9000-http')
    warnings.push([
      'heartbeat_api.cert_file',
      'expected the files of heartbeat_api with dialect hm9000-http, got none: heartbeats are received over NATS only',
    ]);
  return warnings;
}

/** The longest delay of a flapping restart before the slot is given up. */
function largestRestartDelayMs(policy: Settings['policy']): number {
  const { minRestartDelayMs, maxRestartDelayMs, delayTimeNoiseMs, giveupCrashNumber, flappingDeath } = policy;
  const doublings =
    giveupCrashNumber > 0 ? Math.max(0, giveupCrashNumber - flappingDeath - 1) : Number.POSITIVE_INFINITY;
  return Math.min(maxRestartDelayMs, minRestartDelayMs * 2 ** doublings) + delayTimeNoiseMs;
}

const seconds = (ms: number): string => `${ms / 1000} s`;
