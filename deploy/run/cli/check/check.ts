import { pino } from 'pino';
import { loadConfig } from '../../../../common/config/load.ts';
import type { Settings } from '../../../../common/config/settings.ts';
import type { Bus } from '../../../../common/nats/bus.ts';
import { connectBus } from '../../../../common/nats/connect.ts';
import { Health } from '../../../../common/runtime/health.ts';
import { Lifecycle } from '../../../../common/runtime/lifecycle.ts';
import { withoutLogins } from '../../../../common/runtime/log.ts';
import { createRegistry } from '../../../../common/runtime/metrics.ts';
import type { ConfigOption } from '../options.ts';
import { Progress } from '../output/progress.ts';
import { tryBulkApi } from './check-bulk.ts';
import { tryRedis } from './check-redis.ts';
import type { Tried } from './check-result.ts';

/** What does not answer within this is away. */
const ANSWER_MS = 5_000;

/** `hm check`: is the configuration right, and do NATS, Redis and the bulk API answer? */
export async function check(options: ConfigOption): Promise<number> {
  const { settings, warnings, file } = loadConfig({
    file: options.config,
    env: process.env,
    cwd: process.cwd(),
  });
  for (const warning of warnings) print('warning', warning);
  print('ok', `configuration: ${file}`);
  const lifecycle = new Lifecycle();
  try {
    const progress = new Progress();
    const trying = async <T>(what: string, share: number, tried: Promise<T>): Promise<T> => {
      progress.show(`trying ${what}`, share);
      return tried.finally(() => progress.clear());
    };
    const nats = await trying('NATS', 0, tryNats(settings, lifecycle));
    const natsWell = report('NATS', nats.tried);
    const redisWell = report('Redis', await trying('Redis', 1 / 3, tryRedis(settings, ANSWER_MS)));
    const bulk = nats.bus ? tryBulkApi(settings, nats.bus) : Promise.resolve(WITHOUT_NATS);
    const bulkWell = report('bulk API', await trying('the bulk API', 2 / 3, bulk));
    return natsWell && redisWell && bulkWell ? 0 : 1;
  } finally {
    await lifecycle.stop();
  }
}

const WITHOUT_NATS: Tried = { problem: 'not tried: its credentials come over NATS' };

function report(what: string, tried: Tried): boolean {
  if ('ok' in tried) print('ok', `${what}: ${tried.ok}`);
  else print('FAILED', `${what}: ${tried.problem}`);
  return 'ok' in tried;
}

function print(mark: string, text: string): void {
  process.stdout.write(`${mark.padEnd(8)}${withoutLogins(text)}\n`);
}

async function tryNats(settings: Settings, lifecycle: Lifecycle): Promise<{ bus?: Bus; tried: Tried }> {
  const waiting = new Lifecycle();
  const health = new Health();
  const timer = setTimeout(() => void waiting.stop(), ANSWER_MS);
  try {
    const bus = await connectBus({
      mbus: settings.mbus,
      name: 'hm check',
      log: pino({ level: 'silent' }),
      health,
      lifecycle: waiting,
      metrics: createRegistry('check'),
    });
    lifecycle.onStop('nats', () => waiting.stop());
    return { bus, tried: { ok: `connected to ${bus.connection.getServer()}` } };
  } catch {
    // Its error says only that the waiting was ended; why there was any, health knows.
    const reason = health.problems().get('nats') ?? 'does not answer';
    const more = settings.mbusGiven ? '' : ' (mbus is not set: "hm start" would start a private NATS)';
    return { tried: { problem: `${reason}${more}` } };
  } finally {
    clearTimeout(timer);
  }
}
