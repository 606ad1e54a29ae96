import { expect, test } from 'vitest';
import type { Held } from '../sentences/line.ts';
import { groupHeld } from './held-rows.ts';

const held = (more: Partial<Held> = {}): Held => ({ hold: 'mass_loss', what: 'start', count: 1, ...more });
const row = (droplet: string, atS: number, mark?: Held) => ({
  ...{ atMs: atS * 1000, droplet, tone: 'trouble' as const, text: `${droplet} at ${atS}` },
  ...(mark && { held: mark }),
});

test('what one hold keeps back of several apps is one line, where its first line was', () => {
  expect(
    groupHeld([
      row('a', 1, held({ count: 4 })),
      row('other', 2),
      row('b', 3, held()),
      row('a', 4, held({ count: 2 })),
      row('c', 5, held({ hold: 'mass_delete', what: 'stop' })),
    ]),
  ).toEqual([
    {
      ...{ atMs: 1000, droplet: '', droplets: ['a', 'b'], tone: 'trouble', hold: 'mass_loss' },
      text: '7 indices of 2 apps are not started: hold mass_loss',
    },
    row('other', 2),
    { ...row('c', 5), hold: 'mass_delete' },
  ]);
});

test('of one app, and of each pause of an operator', () => {
  const alice = held({ hold: 'operator', what: 'stop', who: 'alice until 15:14: network' });
  const bob = held({ hold: 'operator', what: 'stop', who: 'bob until 16:00' });
  const rows = [row('a', 1, alice), row('a', 1, alice), row('a', 1, bob), row('a', 2, alice)];
  expect(groupHeld(rows).map(({ droplet, text }) => `${droplet}: ${text}`)).toEqual([
    'a: 3 instances are not stopped: hold operator (alice until 15:14: network)',
    'a: a at 1',
  ]);
});

test('two lines, and lines far apart, stay', () => {
  expect(groupHeld([row('a', 1, held()), row('b', 2, held())])).toHaveLength(2);
  const apart = groupHeld([0, 50, 100, 150].map((atS) => row('a', atS, held())));
  expect(apart).toHaveLength(4);
});
