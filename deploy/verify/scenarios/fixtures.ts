import type { ExitReason } from '../../../common/model/reasons.ts';
import type { BulkApp } from '../sim/controller.ts';
import { Deployment, type DeploymentOptions } from './deployment.ts';
import type { ScriptedDea } from './scripted-dea.ts';

/** Starts a deployment with DEAs `dea-1`, `dea-2`, ... that have sent heartbeats for droplet_lost, so no hold is on. */
export async function startCloud({
  deas = 3,
  ...options
}: DeploymentOptions & { deas?: number } = {}): Promise<Deployment> {
  const deployment = await Deployment.start(options);
  for (let n = 1; n <= deas; n++) deployment.dea(`dea-${n}`);
  await deployment.advance(31);
  deployment.takeSent();
  return deployment;
}

/**
 * An app all of whose instances run, placed in turn on `dea-1`, `dea-2` and `dea-3`.
 *
 * @returns the guids of the instances, by index
 */
export async function healthyApp(
  deployment: Deployment,
  droplet: string,
  instances: number,
  app: BulkApp = {},
): Promise<string[]> {
  const deas = [deployment.dea('dea-1'), deployment.dea('dea-2'), deployment.dea('dea-3')];
  await deployment.desire(droplet, { ...app, instances });
  const guids = Array.from({ length: instances }, (_, index) =>
    (deas[index % 3] as ScriptedDea).run(
      droplet,
      index,
      (app.version as string | undefined) ?? `${droplet}-v1`,
    ),
  );
  await deployment.heartbeat();
  return guids;
}

/** An instance ends on the DEA that runs it. */
export async function endInstance(
  deployment: Deployment,
  guid: string | undefined,
  reason: ExitReason,
): Promise<void> {
  for (const dea of deployment.deas.values()) dea.end(guid as string, reason);
  await deployment.settle();
}
