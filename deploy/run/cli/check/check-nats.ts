import type { MbusSettings, Settings } from '../../../../common/config/settings.ts';
import type { Bus } from '../../../../common/nats/bus.ts';
import type { Lifecycle } from '../../../../common/runtime/lifecycle/lifecycle.ts';
import { connectNatsOnce } from '../connection/nats-once.ts';
import type { CheckResult } from './check-result.ts';

interface Checked {
  bus?: Bus;
  result: CheckResult;
}

interface Options {
  settings: Settings;
  /** Closes the connection, which stays open for the check of the bulk API. */
  lifecycle: Lifecycle;
  answerMs: number;
  /** The private NATS of an `hm start` that runs beside the configuration file. */
  privateUrl: string | undefined;
}

/**
 * Connects to NATS. Without `mbus`, `hm start` starts a private NATS; only single processes, which need a Redis, would use
 * port 4222.
 */
export async function checkNats(options: Options): Promise<Checked> {
  const { settings, privateUrl } = options;
  if (settings.mbusGiven) return connectTo(settings.mbus, options);
  if (privateUrl !== undefined) return connectTo(privateMbus(privateUrl), options);
  if (settings.redis === undefined)
    return { result: { skipped: 'none configured: "hm start" starts a private one' } };
  const checked = await connectTo(settings.mbus, options);
  if (!('problem' in checked.result)) return checked;
  return {
    result: {
      skipped: `mbus is not set: "hm start" starts a private NATS; single processes need one (${checked.result.problem})`,
    },
  };
}

/** The private NATS has a random login. */
function privateMbus(url: string): MbusSettings {
  const { host, username, password } = new URL(url);
  return { servers: [host], tls: false, ...(username !== '' && { user: username, password }) };
}

async function connectTo(mbus: MbusSettings, { lifecycle, answerMs }: Options): Promise<Checked> {
  const connected = await connectNatsOnce(mbus, { name: 'hm check', answerMs, lifecycle });
  if ('problem' in connected) return { result: connected };
  const { bus } = connected;
  return { bus, result: { ok: `connected to ${bus.connection.getServer()}` } };
}
