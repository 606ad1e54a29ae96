/** A load process: the DEAs of a fleet, and a controller that carries out every start that it receives. */
import { setTimeout as delay } from 'node:timers/promises';
import { connect, createInbox, Events } from 'nats';
import { HEADERS, SUBJECTS } from '../../../../common/messages/subjects.ts';
import { exitedText } from '../../../demo/agent/dea-messages.ts';
import { PARTITION } from '../../sim/dea.ts';
import { Latencies } from '../measure/latency.ts';
import { AwaitedStarts } from './awaited-starts.ts';
import { dropletId, instanceOf, PER_DEA, versionOf } from './fleet.ts';
import { HeartbeatGenerator } from './heartbeat-generator.ts';
import { atRate, waitWhileProgressing } from './pace.ts';
import {
  BARE_QUESTION,
  type Batch,
  type CloudTasks,
  DROPLETS_A_QUERY,
  type EndBatch,
  type StartStats,
  serveTasks,
} from './protocol.ts';

/** After this time without a start or a reply, the rest counts as missing. */
const NO_PROGRESS_MS = 5_000;

const { nats: url } = JSON.parse(process.argv[2] ?? '{}') as { nats: string };
const nats = await connect({
  ...{ servers: url, name: 'bench-cloud' },
  ...{ maxReconnectAttempts: -1, reconnectTimeWait: 250 }, // NATS may be away for a minute
});
let isConnected = true;
void followConnection();
const heartbeats = new HeartbeatGenerator(nats);

/** The requests since `takeRequestCounts`: `<subject> <droplet> <index or instance>` -> count. */
let requests = new Map<string, number>();
let awaited = new AwaitedStarts(heartbeats, 'crashed');

function count(request: string): void {
  requests.set(request, (requests.get(request) ?? 0) + 1);
}

nats.subscribe(SUBJECTS.start, {
  callback: (_error, message) => {
    const { droplet, indices } = message.json<{ droplet: string; indices: number[] }>();
    awaited.add(droplet, message.headers?.get(HEADERS.reason) ?? '');
    count(`start ${droplet} ${indices.join()}`);
  },
});
nats.subscribe(SUBJECTS.stop, {
  callback: (_error, message) => {
    const { droplet, instances } = message.json<{ droplet: string; instances: Record<string, string> }>();
    count(`stop ${droplet} ${Object.keys(instances).join()}`);
  },
});

async function followConnection(): Promise<void> {
  for await (const { type } of nats.status()) {
    if (type === Events.Disconnect) isConnected = false;
    if (type === Events.Reconnect) isConnected = true;
  }
}

function takeRequestCounts() {
  const keys = [...requests.keys()];
  const result = {
    starts: keys.filter((key) => key.startsWith('start')).length,
    stops: keys.filter((key) => key.startsWith('stop')).length,
    repeated: [...requests.values()].filter((times) => times > 1).length,
  };
  requests = new Map();
  return result;
}

const EXIT_REASONS = { crashed: 'CRASHED', evacuated: 'DEA_SHUTDOWN' } as const;

async function endAll(batch: EndBatch): Promise<void> {
  const { reason = 'crashed', unlisted } = batch;
  await forEachDroplet(batch, (n) => {
    awaited.expect(n, performance.now(), reason);
    if (unlisted) heartbeats.end(n);
    if (reason !== 'missing') sendExited(n, EXIT_REASONS[reason]);
  });
}

/** Takes each droplet of a batch once, scattered over the DEAs and the slices. */
async function forEachDroplet({ perS, from, count, of }: Batch, work: (n: number) => void): Promise<void> {
  const step = coprime(7919, of);
  await atRate(perS, count, (k) => work(((from + k) * step) % of));
  await nats.flush();
}

function sendExited(n: number, reason: (typeof EXIT_REASONS)[keyof typeof EXIT_REASONS]): void {
  const instance = instanceOf(n, heartbeats.generationOf(n) ?? 0, 'RUNNING');
  nats.publish(SUBJECTS.exited, exitedText(PARTITION, instance, reason, { code: 1, signal: null }));
}

async function endAndAwaitStarts(batch: EndBatch): Promise<StartStats> {
  awaited = new AwaitedStarts(heartbeats, 'crashed');
  await endAll(batch);
  return awaited.stats(NO_PROGRESS_MS);
}

async function silenceDea({ dea, maxS }: CloudTasks['silenceDea']['args']): Promise<StartStats> {
  awaited = new AwaitedStarts(heartbeats, 'missing');
  const lastMs = heartbeats.silence(dea);
  for (let at = 0; at < PER_DEA; at++) awaited.expect(dea * PER_DEA + at, lastMs);
  return awaited.stats(maxS * 1000);
}

async function query({
  perS,
  count,
  of,
  bare,
}: CloudTasks['query']['args']): Promise<CloudTasks['query']['result']> {
  const latencies = new Latencies();
  const inbox = createInbox();
  const open = new Map<number, { left: number; sinceMs: number }>();
  let [complete, wrong] = [0, 0];
  const healthy = Buffer.from('"healthy":1}');
  const replies = nats.subscribe(`${inbox}.*`, {
    callback: (_error, { subject, data }) => {
      // Not parsed: parsing the 100 replies of a query would cost more than answering it.
      if (!Buffer.from(data.buffer, data.byteOffset, data.byteLength).includes(healthy)) wrong++;
      const number = Number(subject.slice(inbox.length + 1));
      const sent = open.get(number);
      if (sent === undefined) return;
      if (--sent.left > 0) return;
      open.delete(number);
      latencies.add(sent.sinceMs);
      complete++;
    },
  });
  const queries = Array.from({ length: 100 }, (_, q) => {
    const droplets = Array.from({ length: DROPLETS_A_QUERY }, (_, k) => {
      const n = (q * 100_003 + k * 9_973) % of;
      return { droplet: dropletId(n), version: versionOf(n) };
    });
    return Buffer.from(JSON.stringify({ droplets }));
  });
  const beganMs = performance.now();
  await atRate(perS, count, (k) => {
    open.set(k, { left: DROPLETS_A_QUERY, sinceMs: performance.now() });
    const subject = bare ? BARE_QUESTION : SUBJECTS.healthRequest;
    nats.publish(subject, queries[k % queries.length] as Buffer, { reply: `${inbox}.${k}` });
  });
  await waitWhileProgressing(
    () => open.size === 0,
    () => open.size,
    NO_PROGRESS_MS,
  );
  const seconds = (performance.now() - beganMs) / 1000;
  replies.unsubscribe();
  return { latency: latencies.summary(), sent: count, complete, wrong, seconds };
}

/** The smallest number from `from` on that shares no divisor with `n`. */
function coprime(from: number, n: number): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  let step = from;
  while (divisor(step, n) !== 1) step++;
  return step;
}

serveTasks<CloudTasks>({
  sendHeartbeats: ({ deas, periodMs, changes }) => {
    heartbeats.start(deas, periodMs, changes);
    return null;
  },
  stopHeartbeats: async () => {
    heartbeats.stop();
    await nats.flush();
    return heartbeats.totals();
  },
  endAndAwaitStarts,
  end: async (batch) => {
    awaited = new AwaitedStarts(heartbeats, 'crashed');
    await endAll(batch);
    return null;
  },
  endMore: async (batch) => {
    await endAll(batch);
    return null;
  },
  awaitStarts: () => awaited.stats(NO_PROGRESS_MS),
  update: async (batch) => {
    await forEachDroplet(batch, (n) =>
      nats.publish(SUBJECTS.updated, JSON.stringify({ droplet: dropletId(n), cc_partition: PARTITION })),
    );
    return null;
  },
  awaitConnection: async () => {
    while (!isConnected) await delay(10);
    await nats.flush();
    return null;
  },
  silenceDea,
  resumeDea: ({ dea }) => {
    heartbeats.resume(dea);
    return null;
  },
  query,
  takeRequestCounts,
});
