/** `hm conformance`: what agents and controllers on a live NATS do that does not fit the contract. */
import { stringify } from 'yaml';
import { loadConfig, parseConfig } from '../../../common/config/load.ts';
import type { Settings } from '../../../common/config/settings.ts';
import { EXIT } from '../../../common/runtime/lifecycle/exit-codes.ts';
import { Lifecycle } from '../../../common/runtime/lifecycle/lifecycle.ts';
import { connectNatsOnce } from '../cli/connection/nats-once.ts';
import { FailedError } from '../cli/errors.ts';
import type { ConfigOption } from '../cli/options.ts';
import { Output, painter } from '../cli/output/output.ts';
import { Progress } from '../cli/output/progress.ts';
import { jsonReport, textReport } from './report.ts';
import { watch } from './watch.ts';

export interface ConformanceOptions extends ConfigOption {
  /** NATS URLs, separated by commas. */
  mbus?: string;
  /** URL of the controller. */
  cc?: string;
  /** `cc_partition` */
  partition?: string;
  /** `intervals.droplet_lost` (s) */
  dropletLost?: number;
  /** How long to watch (s). */
  seconds?: number;
  json?: boolean;
}

/** NATS must answer within this time. */
const ANSWER_MS = 5_000;
/** Longer than `droplet_lost`, so that an agent that falls silent is noticed (s). */
const BEYOND_LOST_S = 5;

/** @returns 1 if there are findings @throws FailedError when NATS does not answer @throws ConfigError */
export async function conformance(options: ConformanceOptions): Promise<number> {
  const settings = settingsOf(options);
  const lifecycle = new Lifecycle();
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, interrupt);
  const progress = new Progress();
  try {
    const connected = await connectNatsOnce(settings.mbus, {
      name: 'hm conformance',
      answerMs: ANSWER_MS,
      lifecycle,
    });
    if ('problem' in connected) throw new FailedError(`NATS: ${connected.problem}`);
    const { bus, health } = connected;
    const forMs = (options.seconds ?? settings.policy.dropletLostMs / 1000 + BEYOND_LOST_S) * 1000;
    const watched = await watch({
      ...{ bus, settings, forMs, signal: interrupted.signal },
      readsBulk: options.cc !== undefined || options.config !== undefined,
      onProgress: (share) => progress.show('watching', share),
    });
    progress.clear();
    // A subscription that the server refuses hears nothing.
    for (const problem of health.problems().values()) throw new FailedError(problem);
    const output = new Output();
    const lines = options.json ? [jsonReport(watched)] : textReport(watched, painter());
    for (const line of lines) await output.line(line);
    return watched.findings.length === 0 ? EXIT.done : EXIT.failed;
  } finally {
    progress.clear();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupt);
    await lifecycle.stop();
  }
}

/** Those of the configuration file, if one is given; options win. */
function settingsOf({ config, mbus, cc, partition, dropletLost }: ConformanceOptions): Settings {
  const given = {
    ...(mbus !== undefined && { mbus: mbus.split(',') }),
    ...(partition !== undefined && { cc_partition: partition }),
    ...(cc !== undefined && { bulk_api: { host: cc } }),
    ...(dropletLost !== undefined && { intervals: { droplet_lost: dropletLost } }),
  };
  // An option wins over the environment, as it wins over the file.
  const env = mbus === undefined ? { MBUS_URI: process.env.MBUS_URI } : {};
  const own = parseConfig(stringify(given), 'options', env).settings;
  if (config === undefined) return own;
  const { settings } = loadConfig({ file: config, env: process.env, cwd: process.cwd() });
  return {
    ...settings,
    ...(mbus !== undefined && { mbus: own.mbus }),
    ...(partition !== undefined && { ccPartition: own.ccPartition }),
    ...(cc !== undefined && { bulkApi: { ...settings.bulkApi, host: own.bulkApi.host } }),
    ...(dropletLost !== undefined && {
      policy: { ...settings.policy, dropletLostMs: own.policy.dropletLostMs },
    }),
  };
}
