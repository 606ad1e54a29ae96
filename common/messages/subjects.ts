/** The NATS subjects of the contract with DEAs and controllers. */
export const SUBJECTS = {
  heartbeat: 'dea.heartbeat',
  shutdown: 'dea.shutdown',
  exited: 'droplet.exited',
  updated: 'droplet.updated',
  statusRequest: 'healthmanager.status',
  healthRequest: 'healthmanager.health',
  dropletRequest: 'healthmanager.droplet',
  discover: 'vcap.component.discover',
  announce: 'vcap.component.announce',
  /** Asks all DEAs for a heartbeat at once. */
  healthmanagerStart: 'healthmanager.start',
  start: 'health.start',
  stop: 'health.stop',
} as const;

export type Subject = (typeof SUBJECTS)[keyof typeof SUBJECTS];

const KNOWN: ReadonlySet<string> = new Set(Object.values(SUBJECTS));

/** The subject as a metric label. Labels must have few values, so subjects with an id are `other`. */
export function subjectLabel(subject: string): string {
  return KNOWN.has(subject) ? subject : 'other';
}

/** One ingestor answers here while it runs, so that the others detect its end. @param id one token of a subject */
export function ingestorSubject(id: string): string {
  return `healthmanager.ingestor.${id}`;
}

/** A controller answers here with the login of its bulk API: `{"user","password"}`. */
export function bulkCredentialsSubject(ccPartition: string): string {
  return `cloudcontroller.bulk.credentials.${ccPartition}`;
}

/** Queue groups: each message is delivered to one of the processes in the group. */
export const QUEUE_GROUPS = { ingest: 'hm-ingest', reporter: 'hm-reporter' } as const;

/** Headers of published messages. */
export const HEADERS = { messageId: 'Nats-Msg-Id', reason: 'hm-reason', decision: 'hm-decision' } as const;
