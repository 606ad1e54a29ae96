import { Host } from '../machine/host.ts';
import type { World } from './world.ts';

/**
 * An error that no code of a process handles ends that process, and its supervisor starts the next one. All processes of a
 * simulation are in one, so the host on which the error was thrown tells which of them it is. It is a problem of the run, unless a fault
 * had killed the process before.
 *
 * @returns ends that
 */
export function catchCrashes(world: World): () => void {
  const onError = (error: unknown) => {
    const host = Host.current();
    const copy = world.copies.find((one) => one.host === host);
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (copy === undefined) {
      if (host?.isDead !== true) world.cloud.ledger.fail(`${host?.name ?? 'the simulation'}: ${text}`);
      return;
    }
    world.cloud.ledger.fail(`${copy.name}: ended by an error: ${text}`);
    copy.lines.push({ level: 'fatal', event: 'crashed', msg: text });
    copy.crash();
  };
  process.on('uncaughtException', onError);
  process.on('unhandledRejection', onError);
  return () => {
    process.off('uncaughtException', onError);
    process.off('unhandledRejection', onError);
  };
}
