import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'nats';
import { expect, onTestFinished, test } from 'vitest';
import { startNatsServer } from '../../run/launcher/servers.ts';
import { SERVER_NAME, writeNatsConfig } from './nats-config.ts';

test('NATS withdraws and gives back the right to subscribe while it runs', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'hm-nats-config-'));
  const configFile = join(dir, 'nats.conf');
  const limit = (denied: string[]) => writeNatsConfig(configFile, { denied, withoutHeaders: false });
  limit([]);
  const server = await startNatsServer({ dir, configFile, serverName: SERVER_NAME });
  const nats = await connect({ servers: server.url });
  onTestFinished(async () => {
    await nats.close();
    await server.stop();
    rmSync(dir, { recursive: true });
  });
  const reload = () => process.kill(server.pid, 'SIGHUP');
  const isRefused = async () => {
    let refused = false;
    const subscription = nats.subscribe('dea.heartbeat', {
      callback: (error) => (refused ||= error !== null),
    });
    await nats.flush();
    subscription.unsubscribe();
    return refused;
  };
  expect(await isRefused()).toBe(false);
  limit(['dea.heartbeat']);
  reload();
  await expect.poll(isRefused).toBe(true);
  limit([]);
  reload();
  await expect.poll(isRefused).toBe(false);
});
