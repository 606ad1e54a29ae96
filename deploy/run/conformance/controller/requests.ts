/** Checks of what a controller sends over NATS: changes of apps, and questions. */
import {
  type HealthRequest,
  parseAppState,
  parseAppStateBulk,
  parseDropletRequest,
  parseHealthRequest,
  parseStatusRequest,
  parseUpdated,
} from '../../../../common/messages/incoming/incoming.ts';
import { SUBJECTS } from '../../../../common/messages/subjects.ts';
import { oneLine, type Result } from '../../../../common/messages/validation.ts';
import type { Report } from '../findings.ts';

type Requests = 'statusRequest' | 'healthRequest' | 'dropletRequest' | 'appState' | 'appStateBulk';

const PARSERS: Readonly<Record<Requests, (bytes: Uint8Array) => Result<object>>> = {
  statusRequest: parseStatusRequest,
  healthRequest: parseHealthRequest,
  dropletRequest: parseDropletRequest,
  appState: parseAppState,
  appStateBulk: parseAppStateBulk,
};

export const REQUESTS = Object.keys(PARSERS) as Requests[];

/** A question of a controller. @param reply the subject of the reply; none: nobody gets one */
export function checkRequest(
  name: Requests,
  bytes: Uint8Array,
  reply: string | undefined,
  report: Report,
): void {
  const subject = SUBJECTS[name];
  if (reply === undefined || reply === '') report(subject, 'no_reply_subject', 'published, not requested');
  const parsed = PARSERS[name](bytes);
  if ('reject' in parsed) report(subject, 'message_rejected', parsed.reject, exampleOf(bytes));
  else if ('rejected' in parsed.ok)
    for (const { reason, count } of parsed.ok.rejected as HealthRequest['rejected'])
      report(subject, 'entry_rejected', reason, exampleOf(bytes), count);
}

/** `droplet.updated`. @returns the droplet, if the message is accepted */
export function checkUpdated(bytes: Uint8Array, partition: string, report: Report): string | undefined {
  const parsed = parseUpdated(bytes, partition);
  if ('reject' in parsed) report(SUBJECTS.updated, 'message_rejected', parsed.reject, exampleOf(bytes));
  return 'ok' in parsed ? parsed.ok.droplet : undefined;
}

function exampleOf(bytes: Uint8Array): string {
  return oneLine(Buffer.from(bytes).toString('utf8', 0, 400), 160);
}
