/** The completions as somebody uses them: a shell on a terminal, the Tab key, a deployment with guids, and `deploy/hm`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, test } from 'vitest';
import { packageRoot } from '../../../../common/runtime/package-root.ts';
import { build, hasProgram, hasTerminals, onTerminal } from '../testing/hm-child.ts';
import { useHmFixture } from '../testing/hm-fixture.ts';
import { SHELLS, type Shell } from './words.ts';

const fixture = useHmFixture();
let home: string;

beforeAll(() => {
  build();
  home = mkdtempSync(join(tmpdir(), 'hm-shell-'));
}, 300_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const APP = 'a1b2c3d4-0000-4000-8000-00000000abcd';

/** How each shell starts without the files of its user, and what loads the completion. */
const STARTS: Readonly<Record<Shell, [command: string, load: string]>> = {
  bash: ['bash --norc --noprofile -i', 'source <(deploy/hm completion bash)'],
  zsh: ['zsh -f -i', 'autoload -Uz compinit; compinit -u -D; source <(deploy/hm completion zsh)'],
  fish: ['fish --no-config -i', 'deploy/hm completion fish | source'],
};

for (const shell of SHELLS) {
  const canRun = hasTerminals() && hasProgram(shell);
  test.skipIf(!canRun)(`${shell}: Tab completes commands, options and guids of deploy/hm`, async () => {
    await fixture.list(APP, 'STARTED 1x STAGED version v 256M updated 1', fixture.context.clock.nowMs());
    const config = fixture.file(`redis:\n  url: ${fixture.server.url}\n`);
    const [start, load] = STARTS[shell];
    const env = { HOME: home, PATH: process.env.PATH, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home };
    const terminal = onTerminal(`cd '${packageRoot}'; exec ${start}`, { env });
    const type = (text: string) => terminal.process.stdin?.write(text);
    try {
      type(`${load}; echo load''ed\r`);
      await terminal.waitForOutput('loaded');
      type('deploy/hm expl\t');
      await terminal.waitForOutput(/deploy\/hm explain /);
      type(`--ut\t`);
      await terminal.waitForOutput(/--utc /);
      type(`--config ${config} a1b2\t`);
      await terminal.waitForOutput(APP);
      type('\r');
      await terminal.waitForOutput('wanted: STARTED, 1 instance of version v');
    } finally {
      type('\rexit\r');
      terminal.process.kill();
      await terminal.ended;
    }
  });
}
