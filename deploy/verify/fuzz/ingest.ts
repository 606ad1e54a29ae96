import fc from 'fast-check';
import { parseExited, parseShutdown, parseUpdated } from '../../../common/messages/incoming.ts';
import * as wire from '../../../common/messages/schemas.ts';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { isId } from '../../../common/messages/validation.ts';
import { decodeDroplet } from '../../../common/redis/record-codec.ts';
import { metricValue, type TestContext } from '../../../common/testing/context.ts';
import { startIngest } from '../../../ingest/main.ts';
import { bytes } from './arbitrary.ts';
import { LooseBus } from './loose-bus.ts';
import { SHARES } from './shares.ts';
import { type Fate, must, type Target } from './target.ts';

const SAID = fc.oneof(
  fc.tuple(fc.constant(SUBJECTS.heartbeat), bytes(wire.HEARTBEAT)),
  fc.tuple(fc.constant(SUBJECTS.exited), bytes(wire.EXITED)),
  fc.tuple(fc.constant(SUBJECTS.updated), bytes(wire.UPDATED)),
  fc.tuple(fc.constant(SUBJECTS.shutdown), bytes(wire.SHUTDOWN)),
);
/** Of these each message that is rejected is counted at once. */
const COUNTED = new Map<string, (data: Buffer) => object>([
  [SUBJECTS.exited, (data) => parseExited(data, 'default')],
  [SUBJECTS.updated, (data) => parseUpdated(data, 'default')],
  [SUBJECTS.shutdown, (data) => parseShutdown(data)],
]);

/** Ingest, from its subscriptions to Redis. */
export async function ingestTarget(context: TestContext): Promise<Target> {
  const loose = new LooseBus();
  const { idle } = await startIngest({ ...context, connectBus: async () => loose.bus });
  const { client } = context.redis;
  return {
    name: 'ingest over Redis',
    share: SHARES.ingest,
    lot: 100,
    input: SAID,
    async take(inputs) {
      await client.flushall();
      context.clock.advance(1_000);
      context.lines.length = 0;
      const rejected = () => metricValue(context.metrics, 'hm_messages_rejected_total');
      const before = await metricsOf(context, COUNTED.keys());
      let expected = 0;
      for (const [subject, data] of inputs as [string, Buffer][]) {
        loose.say(subject, data);
        const parse = COUNTED.get(subject);
        if (parse !== undefined && 'reject' in parse(data)) expected++;
      }
      await idle();
      must((await metricsOf(context, COUNTED.keys())) - before === expected, 'a rejection was not counted');
      const failed = context.lines.find(({ level }) => level === 50);
      must(failed === undefined, `an error: ${JSON.stringify(failed)}`);
      await wellWritten(context);
      return [
        ...Array<Fate>(inputs.length).fill(`taken, ${(await rejected()) > 0 ? 'some' : 'none'} rejected`),
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

/** Every droplet's key is where it belongs and can be read. */
async function wellWritten({ redis }: TestContext): Promise<void> {
  const { client, keys } = redis;
  for (const key of await client.keys('*')) {
    must(key.startsWith('hm:{'), `a key of nobody: ${key}`);
    const id = /^hm:\{\d+\}:droplet:(.*)$/s.exec(key)?.[1];
    if (id === undefined) continue;
    must(isId(id) && keys.droplet(id) === key, `a droplet in the wrong place: ${key}`);
    const record = decodeDroplet(id, (await client.call('HGETALL', key)) as string[]);
    // What there is only a fence of is no droplet yet.
    must(record !== undefined && record.rev > 0, `a record without a revision: ${key}`);
    must((await client.hexists(keys.indexOf(id), id)) === 1, `not in the index: ${key}`);
  }
}
