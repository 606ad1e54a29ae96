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
  hm9000Start: 'hm9000.start',
  hm9000Stop: 'hm9000.stop',
  appState: 'app.state',
  appStateBulk: 'app.state.bulk',
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

/** Distinguishes two deployments on one NATS. */
export interface DeploymentName {
  redisPrefix: string;
  ccPartition: string;
}

/** An ingestor that can write to Redis answers here when another one that cannot asks. */
export function ingestorsSubject({ redisPrefix, ccPartition }: DeploymentName): string {
  return `healthmanager.ingestors.${token(redisPrefix)}.${token(ccPartition)}`;
}

/**
 * The queue group of the processes of one kind: each message is delivered to one of them, and to one of every other
 * deployment.
 *
 * @param generation grows when ingestors take over from one that stands still: it stays alone in its old group
 */
export function queueGroup(
  { redisPrefix, ccPartition }: DeploymentName,
  kind: 'ingest' | 'reporter',
  generation?: number,
): string {
  const names = ['hm', token(redisPrefix), token(ccPartition), kind];
  return (generation === undefined ? names : [...names, generation]).join('.');
}

/** A text as one token of a subject or of a queue group: percent-encoded, because NATS forbids spaces and wildcards. */
function token(text: string): string {
  return Array.from(Buffer.from(text), (byte) => {
    const char = String.fromCharCode(byte);
    return /[A-Za-z0-9_-]/.test(char) ? char : `%${byte.toString(16).padStart(2, '0').toUpperCase()}`;
  }).join('');
}

/** Headers of published messages. */
export const HEADERS = { messageId: 'Nats-Msg-Id', reason: 'hm-reason', decision: 'hm-decision' } as const;
