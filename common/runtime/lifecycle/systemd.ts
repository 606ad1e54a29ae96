/** Notifies systemd of this process (sd_notify), if it was started by a unit of `Type=notify`. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Health } from '../health.ts';
import type { Logger } from '../log/log.ts';
import { withoutAddresses } from '../log/without-addresses.ts';
import { PeriodicTask } from '../tasks/periodic-task.ts';
import type { Lifecycle } from './lifecycle.ts';

const run = promisify(execFile);

/** A notification that takes longer has failed; the next one follows. */
const NOTIFY_TIMEOUT_MS = 10_000;
/** Without a watchdog, how often `systemctl status` gets the state of the process. */
const STATUS_EVERY_MS = 30_000;

export interface SystemdOptions {
  /** NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID (sd_notify(3), sd_watchdog_enabled(3)), and PATH. */
  env: NodeJS.ProcessEnv;
  log: Logger;
  health: Health;
  lifecycle: Lifecycle;
}

/**
 * Sends the watchdog's keep-alive twice in each `WatchdogSec` until the process stops, with the problems of `/readyz` as the
 * unit's status. A timer of the event loop sends it, so it stops when `/healthz` stops to answer. A process that waits for
 * Redis or NATS is alive.
 *
 * The program `systemd-notify` sends it, because Node has no unix datagram sockets, and a package for them would compile
 * native code at installation. A unit needs `NotifyAccess=all`, because the sender is another process.
 *
 * @returns a function that reports that the process serves
 */
export function notifySystemd({ env, log, health, lifecycle }: SystemdOptions): () => Promise<void> {
  const { NOTIFY_SOCKET, PATH } = env;
  if (NOTIFY_SOCKET === undefined) return async () => {};
  const send = async (...lines: string[]) => {
    try {
      const options = { env: { NOTIFY_SOCKET, PATH }, timeout: NOTIFY_TIMEOUT_MS };
      await run('systemd-notify', [...lines, `STATUS=${statusOf(health)}`], options);
    } catch (error) {
      log.error({ event: 'systemd_not_notified', err: error }, 'systemd not notified');
    }
  };
  const watchdogMs = watchdogTimeoutMs(env);
  const task = new PeriodicTask(watchdogMs === undefined ? STATUS_EVERY_MS : watchdogMs / 2, () =>
    send(...(watchdogMs === undefined ? [] : ['WATCHDOG=1'])),
  );
  lifecycle.onStop('systemd', () => task.stop());
  return () => send('READY=1');
}

/** @returns undefined when systemd does not watch this process */
function watchdogTimeoutMs({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number | undefined {
  const timeoutMs = Number(WATCHDOG_USEC) / 1000;
  const isWatched = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid;
  return isWatched && timeoutMs > 0 ? timeoutMs : undefined;
}

/** One line. Every user of the host can read the status of a unit, so it has no addresses. */
function statusOf(health: Health): string {
  const problems = [...health.problems()].map(([part, problem]) => withoutAddresses(`${part}: ${problem}`));
  return problems.length === 0 ? 'ready' : problems.join('; ').replaceAll(/\s+/g, ' ');
}
