import type { PolicySettings } from '../../../common/policy/settings.ts';
import type { Clock } from '../../../common/redis/clock.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import type { Logger, RateLimitedLog } from '../../../common/runtime/log/log.ts';
import type { BulkApi } from '../api/bulk-api.ts';
import type { SyncMetrics } from '../metrics.ts';
import type { FencedWriter } from './fenced-writer.ts';
import type { PageVerification } from './pages/page-verification.ts';
import type { PageWriter } from './pages/page-writer.ts';

/** What every pass of a process is run with. */
export interface PassDeps {
  redis: RedisConnections;
  clock: Clock;
  api: BulkApi;
  policy: PolicySettings;
  postponeUpdateMs: number;
  /** A list with more apps fails the pass. */
  maxApps: number;
  log: Logger;
  limited: RateLimitedLog;
  metrics: SyncMetrics;
  /** Host and pid of this process, shown to operators. */
  owner: string;
  /** Wait after the first failed request; for tests. */
  firstDelayMs?: number;
  /** Changed pages in one batch of writes; for tests. */
  pagesPerBatch?: number;
}

/** One running pass, shared by its steps. */
export interface PassContext {
  deps: PassDeps;
  writer: FencedWriter;
  pages: PageWriter;
  /** Every entry of every page is written, and every droplet is searched for, because Redis may have lost some writes. */
  fullRewrite: boolean;
  /** What is verified although the pages are as before. */
  verification: PageVerification;
  /** The data epoch at the begin of the pass; null outside a cluster. */
  dataEpoch: string | null;
  progress: Progress;
  /** Aborts the pass. */
  signal: AbortSignal;
}

export interface Progress {
  pages: number;
  listed: number;
  /** Those listed, without pages that name the same droplets as an earlier one. */
  distinct: number;
  rejected: number;
  changedPages: number;
  /** Every entry of every page so far was written. */
  isFull: boolean;
  /** When the latest page was received (ms). */
  lastReplyMs?: number;
}
