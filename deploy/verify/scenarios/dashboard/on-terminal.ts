/** What the terminal shows of a deployment whose clock the test moves: `hm top --once` and `hm explain`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { main } from '../../../run/cli/program.ts';
import type { Deployment } from '../deployment.ts';

/** @returns what the command writes. It runs at the deployment's time. */
export async function hmText(deployment: Deployment, ...argv: string[]): Promise<string> {
  const { observer, redis } = deployment;
  const { client, keys } = observer;
  const dir = mkdtempSync(join(tmpdir(), 'hm-terminal-'));
  const config = join(dir, 'health_manager.yml');
  const { urls } = redis;
  writeFileSync(config, JSON.stringify({ redis: urls.length === 1 ? { url: urls[0] } : { cluster: urls } }));
  const lines: string[] = [];
  const written = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    lines.push(String(text));
    return true;
  });
  try {
    vi.stubEnv('REDIS_URL', '');
    // The commands read the time of the deployment from Redis; the processes of the test do not.
    const [seconds] = await client.time();
    await client.hset(keys.clock, 'ahead', deployment.nowMs() - Number(seconds) * 1000);
    const code = await main([...argv, '--config', config]);
    if (code !== 0) throw new Error(`hm ${argv.join(' ')}: exit code ${code}`);
    return lines.join('');
  } finally {
    written.mockRestore();
    vi.unstubAllEnvs();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The text without the times that go on while it is read. */
export function withoutSeconds(text: string): string {
  return text.replace(/\d+(\.\d+)? (s|min)\b/g, 'N s');
}
