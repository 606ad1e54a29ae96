import type { Claim, Refusal } from '../../common/redis/scripts/heartbeats/store-heartbeat-droplets.ts';
import type { RateLimitedLog } from '../../common/runtime/log/log.ts';
import type { IngestMetrics } from '../metrics.ts';

interface Options {
  limited: RateLimitedLog;
  metrics: Pick<IngestMetrics, 'claimsRejected'>;
}

/** Counts and logs what heartbeats list and records do not take. */
export class RefusalReports {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Logs a line for each reason and owner, with one of the instances. */
  report(dea: string, claims: readonly Claim[], refusals: readonly Refusal[]): void {
    const alike = new Map<string, { claim: Claim; count: number }>();
    for (const claim of claims) {
      const kind = `${reasonOf(claim)} ${claim.owner}`;
      const same = alike.get(kind);
      if (same === undefined) alike.set(kind, { claim, count: 1 });
      else same.count++;
    }
    for (const { claim, count } of alike.values()) {
      const { owner, droplet, instance } = claim;
      this.#reject(reasonOf(claim), { dea, owner, droplet, instance, count });
    }
    for (const { reason, ...detail } of refusals) this.#reject(reason, { dea, ...detail });
  }

  #reject(reason: Refusal['reason'] | 'owner', detail: Omit<Refusal, 'reason'> & { dea: string }): void {
    this.#options.metrics.claimsRejected.inc({ reason }, detail.count);
    this.#options.limited.warn(
      `claim_rejected ${reason}`,
      { event: 'claim_rejected', reason, ...detail },
      'DEA not believed: it lists what it may not change or create',
    );
  }
}

const reasonOf = ({ changesIdentity }: Claim) => (changesIdentity ? 'identity' : 'owner');
