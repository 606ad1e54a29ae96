import { fork } from 'node:child_process';
import { testContext } from '../../common/testing/context.ts';
import { startTestRedis } from '../../common/testing/redis.ts';
import { testSync } from './testing.ts';

const N = Number(process.argv[2] ?? 200000);
const child = fork('/tmp/syncbench/cc.mjs', [String(N)]);
const port = await new Promise<number>((r) => child.once('message', (m) => r(m as number)));
const redis = await startTestRedis();
const context = await testContext({ redis });
(context as any).clock.now = () => Date.now();
const sync = testSync(
  context,
  { host: `http://127.0.0.1:${port}`, credentials: () => Buffer.from('{"user":"a","password":"b"}') } as any,
  { batchSize: 500, pageTimeoutMs: 10000 },
);
const { readFileSync } = await import('node:fs');
const redisCpu = () => {
  const f = readFileSync(`/proc/${redis.pid}/stat`, 'utf8').split(' ');
  return (Number(f[13]) + Number(f[14])) / 100;
};
let peak = 0;
const t = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage.rss());
}, 50);
async function run(name: string) {
  const c0 = process.cpuUsage();
  const r0 = redisCpu();
  const w0 = performance.now();
  const out = await sync.pass();
  const c = process.cpuUsage(c0);
  const cpu = (c.user + c.system) / 1e6;
  console.log(
    name,
    out,
    'wall',
    ((performance.now() - w0) / 1000).toFixed(2),
    'cpu',
    cpu.toFixed(2),
    'droplets/cpu s',
    Math.round(N / cpu),
    'redis cpu',
    (redisCpu() - r0).toFixed(2),
    'peak MB',
    Math.round(peak / 1e6),
  );
}
await run('first');
await run('unchanged');
await run('unchanged');
await fetch(`http://127.0.0.1:${port}/touch`);
await run('shifted');
console.log(await context.redis.client.info('memory').then((s) => /used_memory_human:(\S+)/.exec(s)?.[1]));
clearInterval(t);
child.kill();
await context.lifecycle.stop();
await redis.stop();
