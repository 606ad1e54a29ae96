/** What a controller of hm9000's time is told: `{}` while it is not known what runs, and never zeros. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../../../../common/messages/subjects.ts';
import { startReporter } from '../../../../reporter/main.ts';
import { STATUS } from '../../fixtures/reporter.ts';
import type { Deployment } from '../deployment.ts';
import { healthyApp, startCloud } from '../fixtures.ts';

let deployment: Deployment;
let port: number;
let stopReporter: () => Promise<void>;

async function startAll(dialect: 'hm9000-nats' | 'hm9000-http'): Promise<void> {
  deployment = await startCloud({ settings: { dialect, status: STATUS } });
  const context = await deployment.newContext();
  port = (await startReporter(context)).port;
  stopReporter = () => context.lifecycle.stop();
}
afterEach(async () => {
  await stopReporter();
  await deployment.stop();
});

const ASKED = [{ droplet: 'web', version: 'web-v1' }];
const WAYS = {
  'hm9000-nats': async () => {
    const reply = await deployment.bus.request(SUBJECTS.appStateBulk, JSON.stringify(ASKED), {
      timeoutMs: 5_000,
    });
    return reply.json() as unknown;
  },
  'hm9000-http': async () => {
    const authorization = `Basic ${Buffer.from(`${STATUS.user}:${STATUS.password}`).toString('base64')}`;
    const reply = await fetch(`http://127.0.0.1:${port}/bulk_app_state`, {
      ...{ method: 'POST', body: JSON.stringify(ASKED) },
      headers: { authorization, 'content-type': 'application/json' },
    });
    return (await reply.json()) as unknown;
  },
} as const;

describe.each(['hm9000-nats', 'hm9000-http'] as const)('%s', (dialect) => {
  beforeEach(() => startAll(dialect));

  /** The indices that the answer lists; undefined: the app is unknown. */
  const indices = async (): Promise<number[] | undefined> => {
    const answer = (await WAYS[dialect]()) as Record<string, { instance_heartbeats: { index: number }[] }>;
    return answer.web?.instance_heartbeats.map(({ index }) => index).sort();
  };

  test('the answer lists what runs, without the instances of a lost DEA', async () => {
    await healthyApp(deployment, 'web', 3);
    expect(await indices()).toEqual([0, 1, 2]);
    deployment.dea('dea-2').connected = false;
    await deployment.advance(45);
    expect(await indices()).toEqual([0, 2]);
  });

  test('nothing is answered while no heartbeats are received, and until they are again for droplet_lost', async () => {
    await healthyApp(deployment, 'web', 3);
    await deployment.processes.stop('ingest');
    await deployment.advance(40);
    expect(await indices()).toBeUndefined();
    await deployment.processes.start('ingest');
    await deployment.advance(5);
    expect(await indices()).toBeUndefined();
    await deployment.advance(40);
    expect(await indices()).toEqual([0, 1, 2]);
    expect(deployment.takeSent()).toEqual([]);
  });
});
