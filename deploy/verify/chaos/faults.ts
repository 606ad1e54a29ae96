import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Controller } from './controller.ts';
import type { Copy } from './copies.ts';
import type { Way } from './proxy.ts';
import type { Random } from './random.ts';
import type { Stage } from './stage.ts';
import type { Quiet } from './undisturbed.ts';

/** What a fault acts on. */
export interface Scene {
  stage: Stage;
  controller: Controller;
  quiet: Quiet;
}

/** A fault with its particulars drawn: what it does, and its end. */
export interface Fault {
  kind: string;
  /** What it hits, for the log. */
  what: string;
  /** Resolves when what was broken is whole again. */
  run(draft: Scene): Promise<void>;
}

type Kind = { weight: number; draw(random: Random, copies: readonly string[]): Omit<Fault, 'kind'> };

const copyOf = ({ stage }: Scene, name: string): Copy =>
  stage.copies.find((copy) => copy.name === name) as Copy;
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** Sends a signal; a process that has just ended needs none. */
function signal(pid: number | undefined, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** A copy ends by a signal, and its supervisor starts it again. */
async function endCopy(copy: Copy, by: NodeJS.Signals): Promise<void> {
  const before = copy.pid();
  signal(before, by);
  signal(before, 'SIGCONT');
  while (copy.pid() === before && before !== undefined) await delay(20);
  await copy.serves();
}

async function stopCopy(copy: Copy, ms: number): Promise<void> {
  copy.stops++;
  await stopped(copy.pid(), ms);
  copy.stops--;
}

/** Stands still for a while. A copy may meanwhile be killed by another fault: then there is nothing to continue. */
async function stopped(pid: number | undefined, ms: number): Promise<void> {
  signal(pid, 'SIGSTOP');
  await delay(ms);
  signal(pid, 'SIGCONT');
}

const oneCopy = (random: Random, copies: readonly string[]) => random.pick(copies);

/** Some ways to servers get worse for a while; those of one copy, or of all. */
function waysOf(
  draft: Scene,
  names: readonly string[],
  server: 'redis' | 'nats',
  way: Way,
  ms: number,
): Promise<void> {
  return worse(
    names.map((name) => copyOf(draft, name)[server]),
    way,
    ms,
  );
}

async function worse(proxies: { way: Way }[], way: Way, ms: number): Promise<void> {
  for (const proxy of proxies) proxy.way = way;
  await delay(ms);
  for (const proxy of proxies) if (proxy.way === way) proxy.way = { kind: 'open' };
}

/** What a broken controller's web server may say. */
const NONSENSE: Record<string, string> = {
  'no HTTP': 'SSH-2.0-OpenSSH_9.2\r\n',
  'a page of HTML': reply('200 OK', '<html><body>Please log in</body></html>', 'text/html'),
  'half a page': reply('200 OK', '{"results":{"a":{"id":"a","instances":'),
  'a page with no app': reply('200 OK', '{"results":{},"bulk_token":{"id":0}}'),
  'apps that are none': reply('200 OK', '{"results":{"x":{"state":7},"":null,"y":[]},"bulk_token":{"id":1}}'),
  'a bad gateway': reply('502 Bad Gateway', 'bad gateway', 'text/plain'),
  'not authorized': reply('401 Unauthorized', ''),
};

function reply(status: string, body: string, type = 'application/json'): string {
  return `HTTP/1.1 ${status}\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`;
}

/** Every kind of fault. Times are drawn below and above `droplet_lost`, so that both are seen. */
const KINDS: Record<string, Kind> = {
  'process killed': {
    weight: 5,
    draw: (random, copies) => {
      const name = oneCopy(random, copies);
      return { what: name, run: (draft) => endCopy(copyOf(draft, name), 'SIGKILL') };
    },
  },
  'process restarted': {
    weight: 2,
    draw: (random, copies) => {
      const name = oneCopy(random, copies);
      return { what: name, run: (draft) => endCopy(copyOf(draft, name), 'SIGTERM') };
    },
  },
  'all of a kind killed': {
    weight: 1,
    draw: (random, copies) => {
      const kind = oneCopy(random, copies).split(' ')[0] as string;
      const names = copies.filter((name) => name.startsWith(`${kind} `));
      return {
        what: `all ${kind}`,
        run: async (draft) => {
          await Promise.all(names.map((name) => endCopy(copyOf(draft, name), 'SIGKILL')));
        },
      };
    },
  },
  'process stopped': {
    weight: 5,
    draw: (random, copies) => {
      const name = oneCopy(random, copies);
      const ms = random.between(300, 10_000);
      return { what: `${name} for ${seconds(ms)}`, run: (draft) => stopCopy(copyOf(draft, name), ms) };
    },
  },
  'Redis killed': {
    weight: 2,
    draw: (random) => {
      const ms = random.between(0, 5_000);
      return {
        what: `back after ${seconds(ms)}`,
        run: async ({ stage }) => {
          await stage.redis.kill();
          await delay(ms);
          await stage.redis.again();
        },
      };
    },
  },
  'Redis emptied': {
    weight: 1,
    draw: () => ({
      what: '',
      run: async ({ stage, quiet }) => {
        const redis = new Redis(stage.redis.url, { retryStrategy: () => 100, maxRetriesPerRequest: null });
        redis.on('error', () => undefined); // another fault may have taken Redis away: it comes back
        await redis.flushall();
        quiet.forgottenMs = performance.now();
        redis.disconnect();
        await delay(1_000);
      },
    }),
  },
  'Redis stopped': {
    weight: 2,
    draw: () => ({ what: 'for 5 s', run: ({ stage }) => stopped(stage.redis.pid(), 5_000) }),
  },
  'NATS killed': {
    weight: 2,
    draw: (random) => {
      const ms = random.between(0, 8_000);
      return {
        what: `back after ${seconds(ms)}`,
        run: async ({ stage }) => {
          await stage.nats.kill();
          await delay(ms);
          await stage.nats.again();
          while (!stage.connected()) await delay(20);
        },
      };
    },
  },
  'NATS slow': {
    weight: 2,
    draw: (random, copies) => {
      const delayMs = random.between(50, 800);
      const ms = random.between(3_000, 9_000);
      return {
        what: `by ${Math.round(delayMs)} ms each way, for ${seconds(ms)}`,
        run: (draft) => waysOf(draft, copies, 'nats', { kind: 'slow', delayMs }, ms),
      };
    },
  },
  'Redis slow': {
    weight: 1,
    draw: (random, copies) => {
      const delayMs = random.between(20, 200);
      const ms = random.between(3_000, 9_000);
      return {
        what: `by ${Math.round(delayMs)} ms each way, for ${seconds(ms)}`,
        run: (draft) => waysOf(draft, copies, 'redis', { kind: 'slow', delayMs }, ms),
      };
    },
  },
  'connections cut midway': {
    weight: 4,
    draw: (random, copies) => {
      const names = random.some(copies, 1 + random.below(copies.length));
      const server = random.pick(['redis', 'nats'] as const);
      const bytes = random.below(20_000);
      return {
        what: `${names.join(', ')} to ${server}`,
        run: async (draft) => {
          for (const name of names) copyOf(draft, name)[server].cut(bytes);
          await delay(1_500);
        },
      };
    },
  },
  'way to a server stalled': {
    weight: 4,
    draw: (random, copies) => {
      const names = random.some(copies, 1 + random.below(3));
      const server = random.pick(['redis', 'nats'] as const);
      const ms = random.between(500, 12_000);
      return {
        what: `${names.join(', ')} to ${server}, for ${seconds(ms)}`,
        run: async (draft) => {
          await waysOf(draft, names, server, { kind: 'stalled' }, ms);
          const stand = names.map((name) => copyOf(draft, name)).filter(({ stops }) => stops > 0);
          if (server === 'nats') for (const copy of stand) copy.heldUpMs = performance.now();
        },
      };
    },
  },
  'controller down': {
    weight: 2,
    draw: (random) => {
      const ms = random.between(1_000, 15_000);
      return {
        what: `for ${seconds(ms)}`,
        run: async ({ stage, controller }) => {
          controller.down = true;
          stage.controller.cut();
          await worse([stage.controller], { kind: 'closed' }, ms);
          controller.down = false;
        },
      };
    },
  },
  'controller slow': {
    weight: 1,
    draw: (random) => {
      const way: Way = { kind: 'slow', delayMs: random.between(300, 6_000) };
      const ms = random.between(4_000, 12_000);
      return {
        what: `by ${seconds(way.delayMs)} each way, for ${seconds(ms)}`,
        run: ({ stage }) => worse([stage.controller], way, ms),
      };
    },
  },
  'controller talks nonsense': {
    weight: 2,
    draw: (random) => {
      const what = random.pick(Object.keys(NONSENSE));
      const ms = random.between(3_000, 10_000);
      return {
        what: `${what}, for ${seconds(ms)}`,
        run: async ({ stage }) => {
          const ended = worse([stage.controller], { kind: 'answers', text: NONSENSE[what] as string }, ms);
          stage.controller.cut(); // kept connections would go on with the real one
          await ended;
        },
      };
    },
  },
  'clock shifted': {
    weight: 2,
    draw: (random, copies) => {
      const name = oneCopy(random, copies);
      const aheadMs = Math.round(random.between(-3_600_000, 3_600_000));
      const ms = random.between(3_000, 9_000);
      return {
        what: `${name} by ${seconds(aheadMs)}, for ${seconds(ms)}`,
        run: async (draft) => {
          const { clockFile } = copyOf(draft, name);
          writeFileSync(clockFile, String(aheadMs));
          await delay(ms);
          writeFileSync(clockFile, '0');
        },
      };
    },
  },
};

const CHOICES = Object.entries(KINDS).map(([kind, { weight }]) => ({ weight, value: kind }));

export const FAULT_KINDS: readonly string[] = Object.keys(KINDS);

/** Draws a fault, its particulars included; nothing happens yet. */
export function drawFault(random: Random, copies: readonly string[]): Fault {
  const kind = random.weighted(CHOICES);
  return { kind, ...(KINDS[kind] as Kind).draw(random, copies) };
}
