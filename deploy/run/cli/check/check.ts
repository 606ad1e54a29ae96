import { dirname, join } from 'node:path';
import { loadConfig } from '../../../../common/config/load.ts';
import { EXIT } from '../../../../common/runtime/lifecycle/exit-codes.ts';
import { Lifecycle } from '../../../../common/runtime/lifecycle/lifecycle.ts';
import { withoutLogins } from '../../../../common/runtime/log/log.ts';
import { readPrivateServers } from '../../launcher/private-servers.ts';
import type { ConfigOption } from '../options.ts';
import { Progress } from '../output/progress.ts';
import { checkBulkApi } from './check-bulk.ts';
import { checkNats } from './check-nats.ts';
import { checkRedis } from './check-redis.ts';
import type { CheckResult } from './check-result.ts';

/** A server that does not answer within this time has failed the check. */
const ANSWER_MS = 5_000;

const WITHOUT_NATS = 'not checked: its credentials come over NATS';

/** `hm check`: validates the configuration and checks NATS, Redis and the bulk API. */
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
    const showProgress = async <T>(what: string, share: number, result: Promise<T>): Promise<T> => {
      progress.show(`checking ${what}`, share);
      return result.finally(() => progress.clear());
    };
    const found = readPrivateServers(join(dirname(file), '.hm'));
    const common = { settings, answerMs: ANSWER_MS };
    const nats = await showProgress('NATS', 0, checkNats({ ...common, lifecycle, privateUrl: found?.nats }));
    const natsOk = report('NATS', nats.result);
    const redis = checkRedis({ ...common, privateUrl: found?.redis });
    const redisOk = report('Redis', await showProgress('Redis', 1 / 3, redis));
    const bulk = nats.bus ? checkBulkApi(settings, nats.bus) : Promise.resolve(withoutNats(nats.result));
    const bulkOk = report('bulk API', await showProgress('the bulk API', 2 / 3, bulk));
    return natsOk && redisOk && bulkOk ? EXIT.done : EXIT.failed;
  } finally {
    await lifecycle.stop();
  }
}

function withoutNats(nats: CheckResult): CheckResult {
  return 'skipped' in nats ? { skipped: WITHOUT_NATS } : { problem: WITHOUT_NATS };
}

/** @returns false if the check has failed */
function report(what: string, result: CheckResult): boolean {
  if ('problem' in result) print('FAILED', `${what}: ${result.problem}`);
  else if ('skipped' in result) print('skipped', `${what}: ${result.skipped}`);
  else {
    for (const warning of result.warnings ?? []) print('warning', `${what}: ${warning}`);
    print('ok', `${what}: ${result.ok}`);
  }
  return !('problem' in result);
}

function print(label: string, text: string): void {
  process.stdout.write(`${label.padEnd(8)}${withoutLogins(text)}\n`);
}
