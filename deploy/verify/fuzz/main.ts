/** `npm run fuzz -- --inputs N --seed S`: runs every target with its share of the inputs and prints the outcomes. */
import { Command, InvalidArgumentError } from 'commander';
import { type TestContext, testContext } from '../../../common/testing/context.ts';
import { startTestRedis } from '../../../common/testing/redis/server.ts';
import { editedRedisTarget } from './edited-redis.ts';
import { httpTarget } from './http.ts';
import { ingestTarget } from './ingest.ts';
import { MESSAGES } from './messages.ts';
import { queriesTarget } from './queries.ts';
import { run } from './run.ts';
import { SHARES } from './shares.ts';
import { STORED } from './stored.ts';
import type { Target } from './target.ts';

const wholeNumber = (text: string): number => {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('expected a whole number');
  return Number(text);
};
const options = new Command()
  .name('npm run fuzz --')
  .option('--inputs <n>', 'the number of inputs', wholeNumber, 1_000_000)
  .option('--seed <n>', 'the same seed gives the same inputs', wholeNumber, 1)
  .parse()
  .opts<{ inputs: number; seed: number }>();

/** Runs a target on its own Redis, because its periodic tasks write even without inputs. */
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
  { create: editedRedisTarget, share: SHARES.editedRedis },
];
const pure = [...MESSAGES, ...STORED];
const shares = [...pure, ...LIVE].reduce((sum, { share }) => sum + share, 0);
const begin = performance.now();
let inputs = 0;
let faults = 0;

async function fuzz(target: Target): Promise<void> {
  try {
    const result = await run(target, Math.ceil((options.inputs * target.share) / shares), options.seed);
    inputs += result.inputs;
    const outcomes = [...result.outcomes]
      .sort(([, a], [, b]) => b - a)
      .map(([outcome, n]) => `${outcome} ${n}`);
    const grown = (result.grownBytes / 2 ** 20).toFixed(1);
    console.log(
      `${result.name}: ${result.inputs} inputs, ${(result.ms / 1000).toFixed(1)} s, heap ${grown} MB more\n    ${outcomes.slice(0, 12).join(', ')}`,
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
