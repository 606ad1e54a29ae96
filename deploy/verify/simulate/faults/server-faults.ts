import { SUBJECTS } from '../../../../common/messages/subjects.ts';
import type { Deas } from '../../chaos/deas.ts';
import { REBUILT_WITHIN_MS } from '../../chaos/faults/fault.ts';
import { DENIABLE, REFUSALS, SUBSCRIBED_AGAIN_MS } from '../../chaos/faults/refusals.ts';
import { endLies } from '../../chaos/lies.ts';
import { MASS_LOSS } from '../../chaos/settings.ts';
import { NATS_PORT, REDIS_PORT } from '../machine/machine.ts';
import type { Copy } from '../world/copy.ts';
import type { World } from '../world/world.ts';
import { delay, type FaultKind, pickCopies } from './fault.ts';

/** Holds back everything between some processes and a server; a process that was replaced meanwhile is not concerned. */
async function holdLinks(
  { machine }: World,
  copies: readonly Copy[],
  port: number,
  ms: number,
): Promise<void> {
  const held = copies.map((copy) => ({ copy, host: copy.host }));
  const stalledMs = machine.time.nowMs;
  for (const { host } of held) machine.network.setLink(host, port, 'held');
  await delay(ms);
  for (const { copy, host } of held) {
    copy.lastRelease = { stalledMs, releasedMs: machine.time.nowMs };
    machine.network.setLink(host, port, 'open');
  }
}

/** Every exit and heartbeat is one of several, so a lost one is followed by others; not so for long. */
const LOSSES_MS: readonly [number, number] = [500, 2_500];
const LOSABLE = [
  SUBJECTS.heartbeat,
  SUBJECTS.exited,
  SUBJECTS.updated,
  SUBJECTS.start,
  SUBJECTS.stop,
] as const;
const REPEATABLE = [SUBJECTS.heartbeat, SUBJECTS.exited, SUBJECTS.updated] as const;

/** Restarts NATS, with what it lacks now. */
async function restartNats({ machine, cloud }: World): Promise<void> {
  machine.nats.isUp = false;
  cloud.undisturbed.unheardSince('nats', machine.time.nowMs);
  await delay(100);
  cloud.undisturbed.heardAgain('nats', machine.time.nowMs);
  machine.nats.isUp = true;
}

/** Faults of NATS and Redis, and of the connections to them. */
export const SERVER_FAULTS: Record<string, FaultKind> = {
  'NATS down': {
    weight: 2,
    run: async ({ machine, cloud }, random) => {
      machine.nats.isUp = false;
      cloud.undisturbed.unheardSince('nats', machine.time.nowMs);
      await delay(random.chance(0.8) ? random.between(200, 10_000) : random.between(10_000, 45_000));
      cloud.undisturbed.heardAgain('nats', machine.time.nowMs);
      machine.nats.isUp = true;
      await delay(1_000);
    },
  },
  'NATS away for longer than the hold': {
    weight: 0.5,
    run: async ({ machine, cloud }, random) => {
      const { deas, undisturbed } = cloud;
      machine.nats.isUp = false;
      undisturbed.unheardSince('nats', machine.time.nowMs);
      const away = [...deas.all].filter(({ connected }) => connected);
      for (const dea of away) deas.disconnect(dea);
      await delay(MASS_LOSS.hold * 1000 + random.between(1_000, 10_000));
      undisturbed.heardAgain('nats', machine.time.nowMs);
      machine.nats.isUp = true;
      const spreadMs = random.between(2_000, 9_000);
      for (const dea of away) {
        deas.reconnect(dea);
        await delay(spreadMs / away.length);
      }
      await delay(1_000);
    },
  },
  'NATS refuses subscriptions': {
    weight: 2,
    run: async ({ machine, copies, cloud: { undisturbed } }, random) => {
      const denied: readonly string[] = random.sample(DENIABLE, 1 + random.below(2));
      const isUnheard = denied.includes(SUBJECTS.heartbeat);
      const names = new Set(copies.map(({ name }) => name));
      machine.nats.isDenied = (host, subject) => names.has(host.name) && denied.includes(subject);
      if (isUnheard) undisturbed.unheardSince('denied', machine.time.nowMs);
      await delay(random.between(1_000, 20_000));
      // Of two such faults at once the first one ends both.
      undisturbed.heardAgain('denied', machine.time.nowMs);
      machine.nats.isDenied = () => false;
      await delay(SUBSCRIBED_AGAIN_MS);
    },
  },
  'NATS without headers': {
    weight: 1,
    run: async (world, random) => {
      world.machine.nats.hasHeaders = false;
      await restartNats(world);
      await delay(random.between(3_000, 20_000));
      world.machine.nats.hasHeaders = true;
      await restartNats(world);
      await delay(1_000);
    },
  },
  'NATS connection reset': {
    weight: 2,
    run: async (world, random) => {
      for (const { host } of pickCopies(world, random)) world.machine.network.reset(host, NATS_PORT);
      await delay(1_000);
    },
  },
  'NATS connection stalled': {
    weight: 3,
    run: (world, random) =>
      holdLinks(world, pickCopies(world, random), NATS_PORT, random.between(300, 12_000)),
  },
  'messages lost': {
    weight: 3,
    run: async ({ machine, cloud }, random) => {
      const subject: string = random.pick(LOSABLE);
      const share = random.between(0.05, 1);
      machine.nats.faultOf = (message) => {
        if (message.subject !== subject || !random.chance(share)) return undefined;
        if (subject === SUBJECTS.heartbeat) noteLost(cloud.deas, message.payload);
        return 'lost';
      };
      await delay(random.between(...LOSSES_MS));
      machine.nats.faultOf = () => undefined;
    },
  },
  'messages repeated': {
    weight: 2,
    run: async ({ machine }, random) => {
      const subject: string = random.pick(REPEATABLE);
      machine.nats.faultOf = (message) => (message.subject === subject ? 'twice' : undefined);
      await delay(random.between(1_000, 10_000));
      machine.nats.faultOf = () => undefined;
    },
  },
  'Redis down': {
    weight: 2,
    run: async ({ machine }, random) => {
      machine.redis.isUp = false;
      await delay(random.between(200, 15_000));
      if (random.chance(0.5)) await machine.redis.later('SCRIPT', 'FLUSH');
      machine.redis.isUp = true;
      await delay(1_000);
    },
  },
  'Redis connection reset': {
    weight: 2,
    run: async (world, random) => {
      for (const { host } of pickCopies(world, random)) world.machine.network.reset(host, REDIS_PORT);
      await delay(500);
    },
  },
  'Redis connection stalled': {
    weight: 3,
    run: (world, random) =>
      holdLinks(world, pickCopies(world, random), REDIS_PORT, random.between(300, 12_000)),
  },
  'Redis emptied': {
    weight: 1,
    // An app that was deleted meanwhile waits for a pass that writes every entry.
    recoversWithinMs: REBUILT_WITHIN_MS,
    run: async ({ machine, cloud }) => {
      endLies(cloud.deas);
      cloud.undisturbed.dataLostMs = machine.time.nowMs;
      await machine.redis.later('FLUSHALL');
      await delay(1_000);
    },
  },
  'Redis refuses writes': {
    weight: 2,
    run: async ({ machine }, random) => {
      const { setting, refusing, usual } = random.pick(Object.values(REFUSALS));
      await machine.redis.later('CONFIG', 'SET', setting, refusing);
      await delay(random.between(1_000, 15_000));
      await machine.redis.later('CONFIG', 'SET', setting, usual);
    },
  },
};

function noteLost(deas: Deas, payload: Buffer): void {
  const { dea, droplets } = JSON.parse(payload.toString()) as { dea: string; droplets: unknown[] };
  deas.heartbeatLost(dea, droplets.length);
}
