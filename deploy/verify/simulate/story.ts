import { storyOf } from '../../../common/explain/explain.ts';
import { factsOf } from '../../../common/explain/facts.ts';
import { readLog } from '../../../common/explain/log/read-log.ts';
import { timesOf } from '../../../common/explain/wording.ts';
import { INTERVALS } from '../chaos/settings.ts';
import { withRedis } from './world/observer.ts';
import type { World } from './world/world.ts';

const GUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
/** Of several problems, the first ones are enough to see what happened. */
const DROPLETS = 2;
const LINES = 60;

/** The stories of the droplets that the problems name, what was true about them, and what the processes logged. */
export async function tellStories(world: World, problems: readonly string[]): Promise<string[]> {
  const droplets = new Set(problems.flatMap((problem) => GUID.exec(problem)?.[0] ?? []));
  const nowMs = world.within(() => Date.now());
  const times = timesOf(nowMs, true);
  const lines: string[] = [];
  for (const droplet of [...droplets].slice(0, DROPLETS)) {
    const { keys } = world;
    const log = await withRedis(world, (redis) => readLog({ client: redis as never, keys }, droplet, LINES));
    const facts = factsOf(log.entries, undefined);
    const options = { times, flappingTimeoutMs: INTERVALS.flapping_timeout * 1000 };
    lines.push(`app ${droplet}, as the health manager explains it:`);
    for (const { atMs, text } of storyOf(facts, undefined, options))
      lines.push(`  ${times.at(atMs)}  ${text}`);
    lines.push('  instances:');
    for (const instance of world.cloud.deas.instancesOf(droplet, { ended: true })) {
      const { dea, ...known } = instance;
      lines.push(`  ${JSON.stringify({ ...known, dea: dea.id, isConnected: dea.connected })}`);
    }
  }
  const startMs = nowMs - world.machine.time.passedMs;
  lines.push('what was true (seconds since the start):');
  for (const { atMs, ...line } of world.truth.slice(-LINES))
    lines.push(`  ${(atMs / 1000).toFixed(3)}  ${times.at(startMs + atMs)}  ${JSON.stringify(line)}`);
  lines.push('what the processes logged last:');
  for (const { name, lines: own } of world.copies)
    for (const line of own.slice(-12)) lines.push(`  ${name}: ${JSON.stringify(line).slice(0, 400)}`);
  return lines;
}
