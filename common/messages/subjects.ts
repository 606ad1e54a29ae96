/** The NATS subjects of the contract with DEAs and controllers, each spelled once. */
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

/** The subject as a label of a metric, which must have few values: those that carry an id are `other`. */
export function subjectLabel(subject: string): string {
  return KNOWN.has(subject) ? subject : 'other';
}

/** Where one ingestor answers, so that others can tell whether it is gone. Its id is one token of a subject. */
export function ingestorSubject(id: string): string {
  return `healthmanager.ingestor.${id}`;
}

/** Where a controller answers with `{"user","password"}` for its bulk API. */
export function bulkCredentialsSubject(ccPartition: string): string {
  return `cloudcontroller.bulk.credentials.${ccPartition}`;
}

/** Queue groups: of the copies of a process in one group, one gets each message. */
export const QUEUE_GROUPS = { ingest: 'hm-ingest', reporter: 'hm-reporter' } as const;

/** Headers of what is published. */
export const HEADERS = { messageId: 'Nats-Msg-Id', reason: 'hm-reason', decision: 'hm-decision' } as const;
