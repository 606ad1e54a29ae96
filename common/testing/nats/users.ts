import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startNats, type TestNats } from './server.ts';

/** A nats-server whose one user may be denied subscriptions while it runs. Its URL has the login. */
export interface RestrictedNats extends TestNats {
  /** Reloads the server so that it refuses subscriptions to these subjects, and to no others. */
  deny(...subjects: string[]): void;
}

/** @param denied subjects that are refused from the start */
export async function startRestrictedNats(denied: readonly string[] = []): Promise<RestrictedNats> {
  const dir = mkdtempSync(path.join(tmpdir(), 'hm-nats-users-'));
  const file = path.join(dir, 'nats.conf');
  const write = (subjects: readonly string[]) => {
    const deny = subjects.map((subject) => `"${subject}"`).join(', ');
    writeFileSync(
      file,
      `authorization { users: [{ user: hm, password: hm, permissions: { publish: ">", subscribe: { allow: ">", deny: [${deny}] } } }] }\n`,
    );
  };
  write(denied);
  const nats = await startNats({ args: ['-c', file] });
  return {
    ...nats,
    url: nats.url.replace('//', '//hm:hm@'),
    deny(...subjects) {
      write(subjects);
      process.kill(nats.pid, 'SIGHUP');
    },
    async stop() {
      await nats.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
