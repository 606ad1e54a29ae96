/** Watches a live NATS and reads the bulk API at the beginning and at the end. Publishes nothing but the request for the login. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Settings } from '../../../common/config/settings.ts';
import type { Bus } from '../../../common/nats/bus.ts';
import { BusChecks, type BusCounts } from './bus-checks.ts';
import { comparePasses } from './controller/bulk-checks.ts';
import { readBulk } from './controller/read-bulk.ts';
import { type Finding, Findings } from './findings.ts';

export interface WatchOptions {
  bus: Bus;
  settings: Pick<Settings, 'bulkApi' | 'ccPartition' | 'bulkCredentialsTimeoutMs' | 'policy'>;
  /** Whether the bulk API is read. */
  readsBulk: boolean;
  /** How long to watch (ms); it ends earlier when the signal is aborted. */
  forMs: number;
  signal: AbortSignal;
  /** @param share 0 to 1 */
  onProgress(share: number): void;
}

export interface Watched {
  nats: string;
  /** How long it watched (s). */
  seconds: number;
  counts: BusCounts;
  /** Undefined: it was not read. */
  bulk: { host: string; passes: number; complete: number; apps: number } | undefined;
  findings: Finding[];
  /** Further findings that did not fit into the list. */
  dropped: number;
}

const PROGRESS_EVERY_MS = 200;
/** Messages that were sent before the last reading of the bulk API may still be on their way. */
const SETTLE_MS = 250;

export async function watch({
  bus,
  settings,
  readsBulk,
  forMs,
  signal,
  onProgress,
}: WatchOptions): Promise<Watched> {
  const findings = new Findings();
  const nowS = () => Date.now() / 1000;
  const { ccPartition: partition, policy, bulkApi } = settings;
  const maxPayload = bus.connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
  const { dropletLostMs } = policy;
  const checks = new BusChecks({ partition, dropletLostMs, maxPayload, findings, nowS });
  const beganMs = performance.now();
  for (const subject of checks.subjects)
    bus.subscribe(subject, {}, ({ data, reply }) =>
      checks.take(subject, { data, reply, atMs: performance.now() }),
    );
  bus.onLost(() => checks.interrupt());
  await bus.flush();

  const { host: who } = new URL(bulkApi.host);
  const bulkOptions = { who, maxApps: bulkApi.maxApps, report: findings.of('controller'), nowS };
  const read = () => readBulk({ ...bulkOptions, settings, bus, signal });
  const first = readsBulk ? await read() : undefined;
  while (!signal.aborted && performance.now() - beganMs < forMs) {
    onProgress((performance.now() - beganMs) / forMs);
    const leftMs = Math.min(PROGRESS_EVERY_MS, Math.max(1, forMs - (performance.now() - beganMs)));
    await delay(leftMs, undefined, { signal }).catch(() => undefined); // rejects when it is aborted
  }
  checks.finish(performance.now());
  const second = first === undefined || signal.aborted ? undefined : await read();
  if (first !== undefined && second !== undefined) {
    await delay(SETTLE_MS);
    comparePasses(first, second, checks.updated, bulkOptions);
  }
  const passes = [first, second].filter((pass) => pass !== undefined);
  return {
    nats: bus.connection.getServer(),
    seconds: Math.round((performance.now() - beganMs) / 100) / 10,
    counts: checks.counts,
    bulk: readsBulk
      ? {
          host: who,
          passes: passes.length,
          complete: passes.filter(({ isComplete }) => isComplete).length,
          apps: passes.at(-1)?.apps.size ?? 0,
        }
      : undefined,
    findings: findings.list(),
    dropped: findings.dropped,
  };
}
