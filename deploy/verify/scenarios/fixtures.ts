import type { FakeApp } from '../../../common/testing/fake-cc.ts';
import type { Dea } from './dea.ts';
import { Deployment, type WorldOptions } from './deployment.ts';

/** A cloud of so many DEAs that has been listened to for long enough to be known. */
export async function cloud({
  deas = 3,
  ...options
}: WorldOptions & { deas?: number } = {}): Promise<Deployment> {
  const world = await Deployment.start(options);
  for (let n = 1; n <= deas; n++) world.dea(`dea-${n}`);
  await world.advance(31);
  world.takeSent();
  return world;
}

/** An app all of whose instances run, one after the other on `dea-1`, `dea-2`, `dea-3`. @returns their guids */
export async function healthyApp(
  world: Deployment,
  droplet: string,
  instances: number,
  app: FakeApp = {},
): Promise<string[]> {
  const deas = [world.dea('dea-1'), world.dea('dea-2'), world.dea('dea-3')];
  await world.desire(droplet, { ...app, instances });
  const guids = Array.from({ length: instances }, (_, index) =>
    (deas[index % 3] as Dea).run(droplet, index, (app.version as string | undefined) ?? `${droplet}-v1`),
  );
  await world.beat();
  return guids;
}

/** An instance ends on whatever DEA it is. */
export async function end(world: Deployment, guid: string | undefined, reason: string): Promise<void> {
  for (const dea of world.deas.values()) dea.end(guid as string, reason);
  await world.settle();
}
