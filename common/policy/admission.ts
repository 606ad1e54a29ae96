/** The controller's own check of starts and stops (contract: messages out), made here first: none is sent that it would refuse. */
import type { Droplet, Instance } from '../model/droplet.ts';
import type { Running } from './slots/running-counts.ts';
import { isDesired } from './slots/wanted.ts';

/** @param running the counts that the message would have */
export function acceptsStart(droplet: Droplet, version: string, index: number, running: Running): boolean {
  const { desired } = droplet;
  if (desired === undefined || desired.state !== 'STARTED' || desired.version !== version) return false;
  return index < desired.instances && (running.get(version) ?? 0) < desired.instances;
}

/**
 * The controller keeps at least `instances` RUNNING ones of a started app's live version, and stops another version only while
 * the live one runs.
 *
 * @param staysRunning RUNNING instances of the live version that stay after this stop
 * @param otherVersionStopping a stop of another version is pending, which requires a RUNNING instance of the live version
 */
export function acceptsStop(
  droplet: Droplet,
  instance: Instance,
  staysRunning: number,
  otherVersionStopping = false,
): boolean {
  const { desired } = droplet;
  if (desired === undefined || !isDesired(droplet) || desired.state !== 'STARTED') return true;
  if (instance.version !== desired.version) return staysRunning > 0;
  return staysRunning >= Math.max(desired.instances, otherVersionStopping ? 1 : 0);
}
