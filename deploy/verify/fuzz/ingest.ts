import fc from 'fast-check';
import { parseExited, parseShutdown, parseUpdated } from '../../../common/messages/incoming/incoming.ts';
import * as wire from '../../../common/messages/schemas.ts';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { isId } from '../../../common/messages/validation.ts';
import { decodeDroplet } from '../../../common/redis/records/record-codec.ts';
import { metricValue, type TestContext } from '../../../common/testing/context.ts';
import { startIngest } from '../../../ingest/main.ts';
import { bytes } from './arbitrary.ts';
import { FakeBus } from './fake-bus.ts';
import { SHARES } from './shares.ts';
import { check, type Outcome, type Target } from './target.ts';

/** Heartbeats of a few DEAs that list the same few instances, each with any index and version: claims of what belongs to others. */
const CLAIMING = fc
  .record({
    droplets: fc.array(
      fc.record({
        cc_partition: fc.constant('default'),
        droplet: fc.constantFrom('x', 'y'),
        version: fc.constantFrom('v1', 'v2'),
        instance: fc.constantFrom('i1', 'i2', 'i3'),
        index: fc.nat(2),
        state: fc.constantFrom('STARTING', 'RUNNING', 'CRASHED', 'EVACUATING'),
        state_timestamp: fc.nat(3),
      }),
      { maxLength: 6 },
    ),
    dea: fc.constantFrom('dea-1', 'dea-2', 'dea-3'),
  })
  .map((heartbeat) => Buffer.from(JSON.stringify(heartbeat)));

const MESSAGES = fc.oneof(
  fc.tuple(fc.constant(SUBJECTS.heartbeat), bytes(wire.HEARTBEAT)),
  fc.tuple(fc.constant(SUBJECTS.heartbeat), CLAIMING),
  fc.tuple(fc.constant(SUBJECTS.exited), bytes(wire.EXITED)),
  fc.tuple(fc.constant(SUBJECTS.updated), bytes(wire.UPDATED)),
  fc.tuple(fc.constant(SUBJECTS.shutdown), bytes(wire.SHUTDOWN)),
);
/** The subjects whose rejected messages are counted at once. */
const COUNTED = new Map<string, (data: Buffer) => object>([
  [SUBJECTS.exited, (data) => parseExited(data, 'default')],
  [SUBJECTS.updated, (data) => parseUpdated(data, 'default')],
  [SUBJECTS.shutdown, (data) => parseShutdown(data)],
]);

/** The ingest process, from its subscriptions to Redis. */
export async function ingestTarget(context: TestContext): Promise<Target> {
  const fake = new FakeBus();
  const { idle } = await startIngest({ ...context, connectBus: async () => fake.bus });
  const { client } = context.redis;
  return {
    name: 'ingest over Redis',
    share: SHARES.ingest,
    batchSize: 100,
    input: MESSAGES,
    async process(inputs) {
      await client.flushall();
      context.clock.advance(1_000);
      context.lines.length = 0;
      const rejections = () => metricValue(context.metrics, 'hm_messages_rejected_total');
      const before = await metricsOf(context, COUNTED.keys());
      let expected = 0;
      for (const [subject, data] of inputs as [string, Buffer][]) {
        fake.deliver(subject, data);
        const parse = COUNTED.get(subject);
        if (parse !== undefined && 'reject' in parse(data)) expected++;
      }
      await idle();
      check((await metricsOf(context, COUNTED.keys())) - before === expected, 'a rejection was not counted');
      const failed = context.lines.find(({ level }) => level === 50);
      check(failed === undefined, `an error: ${JSON.stringify(failed)}`);
      await checkRecords(context);
      return [
        ...Array<Outcome>(inputs.length).fill(
          `processed, ${(await rejections()) > 0 ? 'some' : 'none'} rejected`,
        ),
      ];
    },
  };
}

async function metricsOf(context: TestContext, subjects: Iterable<string>): Promise<number> {
  let sum = 0;
  for (const subject of subjects) {
    sum += await metricValue(context.metrics, 'hm_messages_rejected_total', { subject });
  }
  return sum;
}

/** Every key has a known name, and every droplet has a readable record in its slice. */
async function checkRecords({ redis }: TestContext): Promise<void> {
  const { client, keys } = redis;
  for (const key of await client.keys('*')) {
    check(key.startsWith('hm:{'), `an unknown key: ${key}`);
    const id = /^hm:\{\d+\}:droplet:(.*)$/s.exec(key)?.[1];
    if (id === undefined) continue;
    check(isId(id) && keys.droplet(id) === key, `a droplet in the wrong slice: ${key}`);
    const record = decodeDroplet(id, (await client.call('HGETALL', key)) as string[]);
    // A record with only a fence is no droplet yet.
    check(record !== undefined && record.rev > 0, `a record without a revision: ${key}`);
    const slots = new Set(record?.instances.map(({ guid }) => guid));
    check(slots.size === record?.instances.length, `an instance twice in a record: ${key}`);
    check((await client.hexists(keys.indexOf(id), id)) === 1, `not in the index: ${key}`);
  }
}
