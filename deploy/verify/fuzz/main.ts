/** `npm run fuzz -- --inputs N --seed S`: gives every target its share of so many inputs and says what became of them. */
import { Command, InvalidArgumentError } from 'commander';
import { type TestContext, testContext } from '../../../common/testing/context.ts';
import { startTestRedis } from '../../../common/testing/redis.ts';
import { handEditedTarget } from './edited-redis.ts';
import { httpTarget } from './http.ts';
import { ingestTarget } from './ingest.ts';
import { MESSAGES } from './messages.ts';
import { queriesTarget } from './queries.ts';
import { run } from './run.ts';
import { SHARES } from './shares.ts';
import { STORED } from './stored.ts';
import type { Target } from './target.ts';

const whole = (text: string): number => {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a whole number is expected');
  return Number(text);
};
const options = new Command()
  .name('npm run fuzz --')
  .option('--inputs <n>', 'how many inputs', whole, 1_000_000)
  .option('--seed <n>', 'the same seed gives the same inputs', whole, 1)
  .parse()
  .opts<{ inputs: number; seed: number }>();

/** Each on a Redis of its own: what runs writes also when nothing comes in. */
async function onRedis(create: (context: TestContext) => Target | Promise<Target>): Promise<void> {
  const server = await startTestRedis();
  const context = await testContext({ redis: server, settings: { slices: 16 } });
  try {
    await fuzz(await create(context));
  } finally {
    await context.lifecycle.stop();
    await server.stop();
  }
}

const LIVE = [
  { create: ingestTarget, share: SHARES.ingest },
  { create: queriesTarget, share: SHARES.queries },
  { create: httpTarget, share: SHARES.http },
  { create: handEditedTarget, share: SHARES.handEdited },
];
const pure = [...MESSAGES, ...STORED];
const shares = [...pure, ...LIVE].reduce((sum, { share }) => sum + share, 0);
const begin = performance.now();
let inputs = 0;
let faults = 0;

async function fuzz(target: Target): Promise<void> {
  try {
    const row = await run(target, Math.ceil((options.inputs * target.share) / shares), options.seed);
    inputs += row.inputs;
    const fates = [...row.fates].sort(([, a], [, b]) => b - a).map(([fate, n]) => `${fate} ${n}`);
    const grown = (row.grownBytes / 2 ** 20).toFixed(1);
    console.log(
      `${row.name}: ${row.inputs} inputs, ${(row.ms / 1000).toFixed(1)} s, heap ${grown} MB more\n    ${fates.slice(0, 12).join(', ')}`,
    );
  } catch (error) {
    faults++;
    console.error(
      `${target.name}: ${error instanceof Error ? `${error.message}\n${error.cause ?? ''}` : error}`,
    );
  }
}

for (const target of pure) await fuzz(target);
for (const { create } of LIVE) await onRedis(create);
const seconds = ((performance.now() - begin) / 1000).toFixed(0);
console.log(`${inputs} inputs, seed ${options.seed}, ${seconds} s, faults: ${faults}`);
process.exitCode = faults === 0 ? 0 : 1;
