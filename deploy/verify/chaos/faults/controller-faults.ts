import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { BulkApiFaults } from '../../sim/bulk-api.ts';
import type { ProxyMode } from '../proxy.ts';
import { type FaultKind, formatSeconds, setMode } from './fault.ts';

/** Replies of a broken web server in front of the controller. */
const NONSENSE: Record<string, string> = {
  'no HTTP': 'SSH-2.0-OpenSSH_9.2\r\n',
  'a page of HTML': reply('200 OK', '<html><body>Please log in</body></html>', 'text/html'),
  'half a page': reply('200 OK', '{"results":{"a":{"id":"a","instances":'),
  'a page with no app': reply('200 OK', '{"results":{},"bulk_token":{"id":0}}'),
  'invalid apps': reply('200 OK', '{"results":{"x":{"state":7},"":null,"y":[]},"bulk_token":{"id":1}}'),
  'a bad gateway': reply('502 Bad Gateway', 'bad gateway', 'text/plain'),
  'not authorized': reply('401 Unauthorized', ''),
};

function reply(status: string, body: string, type = 'application/json'): string {
  return `HTTP/1.1 ${status}\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`;
}

/** The bulk API has this fault for some seconds. */
function bulkApiFault(fault: BulkApiFaults): FaultKind {
  return {
    weight: 1.5,
    draw: (random) => {
      const ms = random.between(4_000, 12_000);
      return {
        what: `for ${formatSeconds(ms)}`,
        run: async ({ controller }) => {
          Object.assign(controller.bulkApiFaults, fault);
          await delay(ms);
          for (const name of Object.keys(fault)) delete controller.bulkApiFaults[name as keyof BulkApiFaults];
        },
      };
    },
  };
}

/** Faults of the controller and its bulk API. */
export const CONTROLLER_FAULTS: Record<string, FaultKind> = {
  'controller down': {
    weight: 2,
    draw: (random) => {
      const ms = random.between(1_000, 15_000);
      return {
        what: `for ${formatSeconds(ms)}`,
        run: async ({ stage, controller }) => {
          controller.down = true;
          stage.controller.cut();
          await setMode([stage.controller], { kind: 'closed' }, ms);
          controller.down = false;
        },
      };
    },
  },
  'controller slow': {
    weight: 1,
    draw: (random) => {
      const mode: ProxyMode = { kind: 'slow', delayMs: random.between(300, 6_000) };
      const ms = random.between(4_000, 12_000);
      return {
        what: `by ${formatSeconds(mode.delayMs)} each way, for ${formatSeconds(ms)}`,
        run: ({ stage }) => setMode([stage.controller], mode, ms),
      };
    },
  },
  'controller replies in gzip': bulkApiFault({ encoding: { name: 'gzip', encode: gzipSync } }),
  'controller lists pages without end': bulkApiFault({ repeatList: true }),
  'controller lists a part again and again': bulkApiFault({ repeatedShare: 0.2 }),
  'no room for a tenth of the slots': {
    weight: 2,
    draw: (random) => {
      const tenth = random.below(10);
      const ms = random.between(5_000, 15_000);
      return {
        what: `for ${formatSeconds(ms)}`,
        run: async ({ controller }) => {
          controller.fullTenths.add(tenth);
          await delay(ms);
          controller.fullTenths.delete(tenth);
        },
      };
    },
  },
  'controller replies with nonsense': {
    weight: 2,
    draw: (random) => {
      const what = random.pick(Object.keys(NONSENSE));
      const ms = random.between(3_000, 10_000);
      return {
        what: `${what}, for ${formatSeconds(ms)}`,
        run: async ({ stage }) => {
          const mode: ProxyMode = { kind: 'replies', text: NONSENSE[what] as string };
          const ended = setMode([stage.controller], mode, ms);
          stage.controller.cut(); // open connections would still reach the real controller
          await ended;
        },
      };
    },
  },
};
