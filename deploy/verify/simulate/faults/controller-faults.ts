import { gzipSync } from 'node:zlib';
import { delay, type FaultKind } from './fault.ts';

/** What the bulk API does wrong. */
const NONSENSE = [
  { status: { code: 500 } },
  { status: { code: 502, page: 1 } },
  { status: { code: 302 } },
  { hang: true },
  { unauthorized: 5 },
  { cutOff: true },
  { breakOff: true },
  { pagesByCount: true },
  { repeatFirstToken: true },
  { lastPage: '{"results":null}' },
  { lastPage: '<html>Please log in</html>' },
  { encoding: { name: 'gzip', encode: gzipSync } },
] as const;

/** Faults of the controller. */
export const CONTROLLER_FAULTS: Record<string, FaultKind> = {
  'controller down': {
    weight: 2,
    run: async ({ cloud: { controller }, copies, machine }, random) => {
      controller.down = true;
      const hosts = copies.map(({ host }) => host);
      for (const host of hosts) machine.network.setLink(host, controller.port, 'closed');
      await delay(random.between(1_000, 20_000));
      for (const host of hosts) machine.network.setLink(host, controller.port, 'open');
      controller.down = false;
    },
  },
  'bulk API fails': {
    weight: 3,
    run: async ({ cloud: { controller } }, random) => {
      const fault = random.pick(NONSENSE);
      Object.assign(controller.bulkApiFaults, fault);
      await delay(random.between(1_000, 20_000));
      for (const name of Object.keys(fault)) delete controller.bulkApiFaults[name as 'hang'];
    },
  },
  'bulk API slow': {
    weight: 1,
    run: async ({ cloud: { controller }, copies, machine }, random) => {
      for (let times = 1 + random.below(4); times > 0; times--) {
        const hosts = copies.map(({ host }) => host);
        for (const host of hosts) machine.network.setLink(host, controller.port, 'held');
        await delay(random.between(500, 6_000));
        for (const host of hosts) machine.network.setLink(host, controller.port, 'open');
        await delay(random.between(100, 1_000));
      }
    },
  },
  'no room for a tenth of the slots': {
    weight: 1,
    run: async ({ cloud: { controller } }, random) => {
      const tenth = random.below(10);
      controller.fullTenths.add(tenth);
      await delay(random.between(5_000, 20_000));
      controller.fullTenths.delete(tenth);
    },
  },
};
