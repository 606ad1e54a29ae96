/** For tests: the controller's check of a start or stop message (contract: messages out). */
import type { StartMessage, StopMessage } from '../../../common/messages/outgoing.ts';
import type { Desired } from '../../../common/model/droplet.ts';

/** An app as the controller has it. */
export interface TrueApp {
  readonly desired: Desired;
  /** The controller has the app. */
  readonly isListed: boolean;
}

export function isStartAccepted({ desired, isListed }: TrueApp, message: StartMessage): boolean {
  const running = new Map(message.running).get(message.version) ?? 0;
  return (
    isListed &&
    desired.state === 'STARTED' &&
    message.version === desired.version &&
    message.index < desired.instances &&
    running < desired.instances
  );
}

/** @param version under which the message names the instance to stop */
export function isStopAccepted(
  { desired, isListed }: TrueApp,
  message: StopMessage,
  version: string,
): boolean {
  if (!isListed) return true;
  if (desired.state !== 'STARTED') return version === desired.version;
  const running = new Map(message.running);
  if (version !== desired.version) return (running.get(desired.version) ?? 0) > 0;
  return (running.get(version) ?? 0) - 1 >= desired.instances;
}
