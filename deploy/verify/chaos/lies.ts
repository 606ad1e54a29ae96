import type { ChaosController } from './controller.ts';
import type { ChaosDea, Deas, TrueInstance } from './deas.ts';
import type { Random } from './random.ts';
import type { Undisturbed } from './undisturbed.ts';

interface Cloud {
  deas: Deas;
  controller: ChaosController;
  random: Random;
  undisturbed: Undisturbed;
}

const VICTIMS = 30;
/** Only instances that could have been heard of for longer than this are lied about: of a new one nobody knows the true DEA. */
const KNOWN_AFTER_MS = 10_000;
const LIES_FOR_MS: readonly [number, number] = [3_000, 9_000];
/** More than `giveup_crash_number`. */
const FORGED_CRASHES = 6;
const MADE_UP_INSTANCES = 200;
/** No app wants an index as high. */
const UNWANTED_INDEX = 1_000;
/** With these, most of the DEAs are made up. */
const MADE_UP_DEAS = 80;

type Lie = (cloud: Cloud, liar: ChaosDea, victims: readonly TrueInstance[]) => void;

const LIES: readonly Lie[] = [
  (_, liar, victims) => claim(liar, victims, {}),
  ({ random }, liar, victims) => claim(liar, victims, { version: random.guid() }),
  (_, liar, victims) => {
    for (const victim of victims) claim(liar, [victim], { index: victim.index + 1 });
  },
  ({ random }, liar, victims) => {
    for (const { droplet, version, index } of victims.slice(0, 3)) {
      for (let times = 0; times < FORGED_CRASHES; times++)
        liar.sendExited({ guid: madeUpGuid(random), droplet, version, index }, 'CRASHED');
    }
  },
  ({ random }, liar, [victim]) => {
    for (let n = 0; n < MADE_UP_INSTANCES; n++) makeUp(random, liar, victim as TrueInstance, n);
  },
  ({ deas, random }, _, [victim]) => {
    // They fall silent together, which must not raise `mass_loss`.
    const crowd = Array.from({ length: MADE_UP_DEAS }, () => deas.add());
    for (const [n, dea] of crowd.entries()) {
      dea.lies = true;
      makeUp(random, dea, victim as TrueInstance, n);
    }
    deas.later(random.between(...LIES_FOR_MS), () => {
      for (const dea of crowd) deas.die(dea);
    });
  },
  ({ deas }) => {
    for (let n = 0; n < MADE_UP_DEAS; n++) deas.shutDown(deas.add());
  },
];

/**
 * A DEA that nobody started lists instances of others for a while, perhaps changed, or made-up ones, or sends exits of made-up ones. Or
 * many such DEAs come and go, or say `dea.shutdown`.
 */
export function lie(cloud: Cloud): void {
  const { deas, random, undisturbed } = cloud;
  const nowMs = performance.now();
  const known = [...deas.all]
    .filter(
      ({ connected, silentSinceDisconnect, evacuating, lies }) =>
        connected && !silentSinceDisconnect && !evacuating && !lies,
    )
    .flatMap(({ listed }) => [...listed.values()])
    .filter(({ droplet, state, steadySinceMs }) => {
      if (state !== 'RUNNING' || steadySinceMs === undefined) return false;
      const knownSinceMs = Math.max(steadySinceMs, undisturbed.dataLostMsOf(droplet));
      return undisturbed.listenedMs(knownSinceMs, nowMs) > KNOWN_AFTER_MS;
    });
  if (known.length === 0) return;
  const liar = deas.add();
  liar.lies = true;
  random.pick(LIES)(cloud, liar, random.sample(known, VICTIMS));
  deas.later(random.between(...LIES_FOR_MS), () => deas.die(liar));
}

/** The liar lists copies, so the truth about the victims stays as it is. */
function claim(liar: ChaosDea, victims: readonly TrueInstance[], change: Partial<TrueInstance>): void {
  for (const victim of victims) liar.relist({ ...victim, ...change, dea: liar });
}

/** The DEA lists an instance that does not exist, at an index that the app does not want. */
function makeUp(random: Random, liar: ChaosDea, { droplet, version }: TrueInstance, n: number): void {
  const index = UNWANTED_INDEX + n;
  liar.relist({
    guid: madeUpGuid(random),
    droplet,
    version,
    index,
    state: 'RUNNING',
    dea: liar,
  } as TrueInstance);
}

const madeUpGuid = (random: Random) => random.guid().replaceAll('-', '');

/** Ends all lies. After Redis lost its data a lie could arrive before the truth, and then nobody can tell them apart. */
export function endLies(deas: Deas): void {
  for (const dea of deas.all) if (dea.lies) deas.die(dea);
}
