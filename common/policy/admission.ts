/** The check that a controller makes of what it is asked (contract: messages out), so that it is asked nothing it refuses. */
import type { Droplet, Instance } from '../model/droplet.ts';
import type { Running } from './running-counts.ts';
import { isDesired } from './wanted.ts';

/** Whether the controller would start `index` of `version`, given the message's `running`. */
export function acceptsStart(droplet: Droplet, version: string, index: number, running: Running): boolean {
  const { desired } = droplet;
  if (desired === undefined || desired.state !== 'STARTED' || desired.version !== version) return false;
  return index < desired.instances && (running.get(version) ?? 0) < desired.instances;
}

/**
 * Whether the controller would stop `instance`. Of a started app it keeps at least `instances` RUNNING ones of the
 * live version, and touches another version only while the live one runs.
 *
 * @param staysRunning RUNNING instances of the live version that stay after this stop
 * @param othersLeave another version is being stopped, for which one of the live version must stay RUNNING
 */
export function acceptsStop(
  droplet: Droplet,
  instance: Instance,
  staysRunning: number,
  othersLeave = false,
): boolean {
  const { desired } = droplet;
  if (desired === undefined || !isDesired(droplet) || desired.state !== 'STARTED') return true;
  if (instance.version !== desired.version) return staysRunning > 0;
  return staysRunning >= Math.max(desired.instances, othersLeave ? 1 : 0);
}
