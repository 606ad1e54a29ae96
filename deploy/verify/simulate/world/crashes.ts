import { Host } from '../machine/host.ts';
import type { World } from './world.ts';

/**
 * An error that no code of a process handles ends that process, and its supervisor starts the next one. All processes of a
 * simulation are in one, so the host on which the error was thrown tells which of them it is.
 */
export function catchCrashes(world: World): { readonly count: number; stop(): void } {
  const crashes = {
    count: 0,
    stop: () => {
      process.off('uncaughtException', onError);
      process.off('unhandledRejection', onError);
    },
  };
  const onError = (error: unknown) => {
    const host = Host.current();
    const copy = world.copies.find((one) => one.host === host);
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (copy === undefined) {
      if (host?.isDead !== true) world.cloud.ledger.fail(`${host?.name ?? 'the simulation'}: ${text}`);
      return;
    }
    crashes.count++;
    copy.lines.push({ level: 'fatal', event: 'crashed', msg: text });
    copy.crash();
  };
  process.on('uncaughtException', onError);
  process.on('unhandledRejection', onError);
  return crashes;
}
