import type { Desired } from '../../model/droplet.ts';
import { decodeDesired } from '../../redis/records/record-codec.ts';
import { countText } from '../wording.ts';

/**
 * Describes the change from one desired state to the next.
 *
 * @param was as encoded in the droplet's record  @param is the same
 */
export function desiredSentence(was: string | undefined, is: string | undefined): string {
  const [before, after] = [readDesired(was), readDesired(is)];
  if (after === undefined) return 'the desired state changed';
  if (before === undefined) return `the controller wants ${desiredText(after)}`;
  const changes: string[] = [];
  if (before.state !== after.state) changes.push(after.state === 'STARTED' ? 'started' : 'stopped');
  if (before.instances !== after.instances) {
    changes.push(`scaled from ${before.instances} to ${after.instances}`);
  }
  if (before.version !== after.version)
    changes.push(`version ${after.version} in place of ${before.version}`);
  if (before.packageState !== after.packageState) changes.push(`package ${after.packageState}`);
  if (before.memoryMb !== after.memoryMb) changes.push(`memory ${before.memoryMb} to ${after.memoryMb} MB`);
  return `the controller changed the desired state${changes.length === 0 ? '' : `: ${changes.join(', ')}`}`;
}

/** `STARTED, 3 instances of version v1, package STAGED, 256 MB` */
export function desiredText({ state, instances, version, packageState, memoryMb }: Desired): string {
  return `${state}, ${countText(instances, 'instance')} of version ${version}, package ${packageState}, ${memoryMb} MB`;
}

/** Undefined: there is none, or it is not in the format this release writes. */
export function readDesired(text: string | undefined): Desired | undefined {
  if (text === undefined) return undefined;
  try {
    return decodeDesired(text);
  } catch {
    return undefined; // the sentence then leaves out what changed
  }
}
