import { freePort } from '../redis/server.ts';
import { startNats, type TestNats } from './server.ts';

/** Starts the servers of a NATS cluster: a message published at one reaches the subscribers of all. The caller stops each. */
export async function startNatsCluster(count = 3): Promise<TestNats[]> {
  const ports: number[] = [];
  for (let n = 0; n < count; n++) ports.push(await freePort());
  const routes = ports.map((port) => `nats://127.0.0.1:${port}`).join(',');
  const servers: TestNats[] = [];
  try {
    for (const port of ports) {
      const args = ['--cluster_name', 'test', '--cluster', `nats://127.0.0.1:${port}`, '--routes', routes];
      servers.push(await startNats({ args }));
    }
    return servers;
  } catch (error) {
    for (const server of servers) await server.stop();
    throw error;
  }
}
