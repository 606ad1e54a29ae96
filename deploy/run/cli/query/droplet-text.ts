import type { ObservedDroplet } from '../../../../common/explain/observed-droplet.ts';
import type { Present, SlotPresent } from '../../../../common/explain/present/present.ts';
import { desiredText } from '../../../../common/explain/sentences/desired.ts';
import { formatDuration, indicesText, type Times } from '../../../../common/explain/wording.ts';
import type { Instance } from '../../../../common/model/droplet.ts';
import type { HoldName } from '../../../../common/model/reasons.ts';
import { lastHeartbeatMs } from '../../../../common/policy/fleet/liveness.ts';
import { painter } from '../output/output.ts';

/** Shown first when the configuration has dry_run. */
export const DRY_RUN = 'dry_run is on: starts and stops are decided but not sent';

/**
 * The present state of a droplet as lines of text.
 *
 * @param unknown why it is not known what runs; absent: it is known
 * @param onlyTrouble leaves out healthy slots and instances, which are then only counted
 */
export function presentLines(
  view: ObservedDroplet,
  present: Present,
  times: Times,
  { onlyTrouble, unknown }: { onlyTrouble: boolean; unknown?: string | undefined },
): string[] {
  const paint = painter();
  const slots = onlyTrouble ? present.slots.filter(({ tone }) => tone !== 'good') : present.slots;
  const others = onlyTrouble ? present.others.filter(({ tone }) => tone !== 'plain') : present.others;
  return [
    ...wantedLines(view, present, times, unknown),
    ...slotLines(view, slots),
    ...(others.length > 0 ? [paint('bold', 'other instances')] : []),
    ...others.map(({ instance, text, tone }) => {
      const what = `index ${instance.index}  ${paint(tone, instance.state)}  ${whereItWas(view, instance)}`;
      return `  ${what}${ofOtherVersion(view, instance)}: ${text}`;
    }),
    ...present.holds.map(({ name, text }) => `${paint('trouble', `hold ${name}`)}: ${text}${endOf(name)}`),
    ...retryLines(view, slots),
  ];
}

/** The command that ends the hold, if there is one. */
export function endOf(hold: HoldName): string {
  return hold === 'mass_loss' || hold === 'mass_delete' ? ` (hm release ${hold})` : '';
}

/** The command that starts again what the health manager has given up or tries rarely. */
function retryLines({ droplet }: ObservedDroplet, slots: readonly SlotPresent[]): string[] {
  const states = ['GIVEN UP', 'FLAPPING', 'UNPLACED'];
  return slots.some(({ state }) => states.includes(state)) ? [`to try at once: hm retry ${droplet.id}`] : [];
}

/** A line for each slot; those without an instance that have the same problem have one. */
function slotLines(view: ObservedDroplet, slots: readonly SlotPresent[]): string[] {
  const groups = new Map<string, SlotPresent[]>();
  for (const slot of slots) {
    const { index, state, instances, text } = slot;
    const key = instances.length > 0 ? `${index}` : `${state} ${text}`;
    groups.set(key, [...(groups.get(key) ?? []), slot]);
  }
  return [...groups.values()].map((group) => slotLine(view, group));
}

function wantedLines(
  { droplet, nowMs }: ObservedDroplet,
  present: Present,
  times: Times,
  unknown: string | undefined,
): string[] {
  const paint = painter();
  const { desired, goneMs, updatedMs } = droplet;
  if (desired === undefined) {
    return droplet.listedMs === undefined
      ? ['the controller has not listed it: its desired state is unknown']
      : ['the controller lists it, but its entry cannot be read: see the log of sync'];
  }
  const lines = [`wanted: ${desiredText(desired)}`];
  if (goneMs !== undefined) {
    lines[0] = `not wanted: the controller does not list it any more, last at ${times.at(goneMs)} (then ${desiredText(desired)})`;
  }
  const isComplete = present.running === present.wanted;
  const ran = `${present.running} of ${present.wanted} run`;
  if (present.wanted > 0 && unknown !== undefined) lines.push(paint('dim', unknown));
  else if (present.wanted > 0) lines.push(paint(isComplete ? 'good' : 'trouble', ran));
  else if (goneMs === undefined && desired.state === 'STARTED' && desired.packageState !== 'STAGED') {
    lines.push(paint('trouble', 'its package is not STAGED: no instance of it is started'));
  }
  if (updatedMs !== undefined)
    lines.push(`changed by the controller ${formatDuration(nowMs - updatedMs)} ago`);
  return lines;
}

/** @param group slots with the same problem */
function slotLine(view: ObservedDroplet, group: readonly SlotPresent[]): string {
  const { state, tone, instances, text } = group[0] as SlotPresent;
  const paint = painter();
  const indices = `${group.length === 1 ? 'index' : 'indices'} ${indicesText(group.map(({ index }) => index))}`;
  const where = instances.map((instance) => whereOf(view, instance)).join(', and ');
  const rest = [where, text].filter((part) => part !== '').join('; ');
  return `  ${indices}  ${paint(tone, state.padEnd(8))}  ${rest}`.trimEnd();
}

function whereOf({ deas, nowMs }: ObservedDroplet, instance: Instance): string {
  const { guid, dea, firstListedMs } = instance;
  const heartbeat = formatDuration(nowMs - lastHeartbeatMs(instance, deas));
  return `on ${dea} for ${formatDuration(nowMs - firstListedMs)}, last heartbeat ${heartbeat} ago (instance ${guid})`;
}

/** For an instance that may have ended. */
function whereItWas({ deas, nowMs }: ObservedDroplet, instance: Instance): string {
  const [first, last] = [instance.firstListedMs, lastHeartbeatMs(instance, deas)].map((ms) =>
    formatDuration(nowMs - ms),
  );
  return `on ${instance.dea}, first listed ${first} ago, last heartbeat ${last} ago (instance ${instance.guid})`;
}

function ofOtherVersion({ droplet }: ObservedDroplet, { version }: Instance): string {
  return version === droplet.desired?.version ? '' : ` of version ${version}`;
}
