/** A load process: the hosts of a fleet, and the ears of a controller that starts what it is asked to start. */
import { connect, createInbox } from 'nats';
import { HEADERS, SUBJECTS } from '../../../common/messages/subjects.ts';
import { AwaitedStarts } from './awaited-starts.ts';
import { Beats } from './beats.ts';
import { dropletId, instanceId, PER_DEA, versionOf } from './fleet.ts';
import { Latencies } from './latency.ts';
import { atRate, settled } from './pace.ts';
import { type Came, type CloudTasks, type Crashes, serveTasks } from './protocol.ts';

/** What does not come within this time does not come. */
const SILENT_MS = 5_000;
/** Droplets asked after in one question. */
const ASKED_AT_ONCE = 100;

const { nats: url } = JSON.parse(process.argv[2] ?? '{}') as { nats: string };
const nats = await connect({ servers: url, name: 'bench-cloud' });
const beats = new Beats(nats);

/** Asked of the controller since it was last asked: `<subject> <droplet> <index or instance>` -> how often. */
let asked = new Map<string, number>();
/** The starts that are to come now. */
let awaited = new AwaitedStarts(beats, 'crashed');

function note(what: string): void {
  asked.set(what, (asked.get(what) ?? 0) + 1);
}

nats.subscribe(SUBJECTS.start, {
  callback: (_error, message) => {
    const { droplet, indices } = message.json<{ droplet: string; indices: number[] }>();
    awaited.came(droplet, message.headers?.get(HEADERS.reason) ?? '');
    note(`start ${droplet} ${indices.join()}`);
  },
});
nats.subscribe(SUBJECTS.stop, {
  callback: (_error, message) => {
    const { droplet, instances } = message.json<{ droplet: string; instances: Record<string, string> }>();
    note(`stop ${droplet} ${Object.keys(instances).join()}`);
  },
});

function takeAsked() {
  const keys = [...asked.keys()];
  const result = {
    starts: keys.filter((key) => key.startsWith('start')).length,
    stops: keys.filter((key) => key.startsWith('stop')).length,
    twice: [...asked.values()].filter((times) => times > 1).length,
  };
  asked = new Map();
  return result;
}

/** Scattered over the DEAs and the slices, each droplet once. */
async function crashAll(crashes: Crashes): Promise<void> {
  const { reason = 'crashed', ended } = crashes;
  await toEach(crashes, (n) => {
    awaited.expect(n, performance.now(), reason);
    if (ended) beats.end(n);
    if (reason !== 'missing') nats.publish(SUBJECTS.exited, JSON.stringify(exitOf(n, EXIT_REASONS[reason])));
  });
}

const EXIT_REASONS = { crashed: 'CRASHED', evacuated: 'DEA_SHUTDOWN' } as const;

async function toEach({ perS, from, count, of }: Crashes, work: (n: number) => void): Promise<void> {
  const step = coprime(7919, of);
  await atRate(perS, count, (k) => work(((from + k) * step) % of));
  await nats.flush();
}

async function crash(crashes: Crashes): Promise<Came> {
  awaited = new AwaitedStarts(beats, 'crashed');
  await crashAll(crashes);
  return awaited.all(SILENT_MS);
}

async function silence({ dea, atMostS }: CloudTasks['silence']['args']): Promise<Came> {
  awaited = new AwaitedStarts(beats, 'missing');
  const lastMs = beats.silence(dea);
  for (let at = 0; at < PER_DEA; at++) awaited.expect(dea * PER_DEA + at, lastMs);
  return awaited.all(atMostS * 1000);
}

function exitOf(n: number, reason: string): object {
  return {
    cc_partition: 'default',
    droplet: dropletId(n),
    version: versionOf(n),
    instance: instanceId(n, beats.lifeOf(n) ?? 0),
    index: 0,
    reason,
    exit_status: 1,
    exit_description: 'app instance exited',
    ...(reason === 'CRASHED' ? { crash_timestamp: Math.floor(Date.now() / 1000) } : {}),
  };
}

async function query({
  perS,
  count,
  of,
}: CloudTasks['query']['args']): Promise<CloudTasks['query']['result']> {
  const latencies = new Latencies();
  const inbox = createInbox();
  const open = new Map<number, { left: number; sinceMs: number }>();
  let [complete, wrong] = [0, 0];
  const healthy = Buffer.from('"healthy":1}');
  const replies = nats.subscribe(`${inbox}.*`, {
    callback: (_error, { subject, data }) => {
      // Not parsed: 100 replies a question would make the asking dearer than the answering.
      if (!Buffer.from(data.buffer, data.byteOffset, data.byteLength).includes(healthy)) wrong++;
      const number = Number(subject.slice(inbox.length + 1));
      const question = open.get(number);
      if (question === undefined) return;
      if (--question.left > 0) return;
      open.delete(number);
      latencies.add(question.sinceMs);
      complete++;
    },
  });
  const questions = Array.from({ length: 100 }, (_, q) => {
    const droplets = Array.from({ length: ASKED_AT_ONCE }, (_, k) => {
      const n = (q * 100_003 + k * 9_973) % of;
      return { droplet: dropletId(n), version: versionOf(n) };
    });
    return Buffer.from(JSON.stringify({ droplets }));
  });
  const beganMs = performance.now();
  await atRate(perS, count, (k) => {
    open.set(k, { left: ASKED_AT_ONCE, sinceMs: performance.now() });
    nats.publish(SUBJECTS.healthRequest, questions[k % questions.length] as Buffer, {
      reply: `${inbox}.${k}`,
    });
  });
  await settled(
    () => open.size === 0,
    () => open.size,
    SILENT_MS,
  );
  const seconds = (performance.now() - beganMs) / 1000;
  replies.unsubscribe();
  return { latency: latencies.summary(), asked: count, complete, wrong, seconds };
}

/** The least number from `from` on that shares no divisor with `n`. */
function coprime(from: number, n: number): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  let step = from;
  while (divisor(step, n) !== 1) step++;
  return step;
}

serveTasks<CloudTasks>({
  beat: ({ deas, periodMs, changes }) => {
    beats.start(deas, periodMs, changes);
    return null;
  },
  hush: async () => {
    beats.stop();
    await nats.flush();
    return beats.told();
  },
  crash,
  exits: async (crashes) => {
    awaited = new AwaitedStarts(beats, 'crashed');
    await crashAll(crashes);
    return null;
  },
  more: async (crashes) => {
    await crashAll(crashes);
    return null;
  },
  update: async (updates) => {
    await toEach(updates, (n) =>
      nats.publish(SUBJECTS.updated, JSON.stringify({ droplet: dropletId(n), cc_partition: 'default' })),
    );
    return null;
  },
  started: () => awaited.all(SILENT_MS),
  silence,
  resume: ({ dea }) => {
    beats.resume(dea);
    return null;
  },
  query,
  asked: takeAsked,
});
