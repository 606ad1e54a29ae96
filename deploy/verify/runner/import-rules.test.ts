import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';

/** The rooms of common/, lowest first. */
const ROOMS = [
  ...['model', 'messages', 'policy', 'config', 'runtime', 'nats'],
  ...['tracing', 'redis', 'queues', 'explain', 'views'],
];
const PROCESSES = ['ingest', 'analyzer', 'nudger', 'reporter'];
const IMPORT = 'lint/style/noRestrictedImports';
const CYCLE = 'lint/suspicious/noImportCycles';

interface Case {
  file: string;
  imports: string;
  breaks?: string;
  source?: string;
}

const upward = ROOMS.map((room, at): Case => {
  const higher = ROOMS[at + 1];
  const imports = higher === undefined ? '../process.ts' : `../${higher}/a.ts`;
  return { file: `common/${room}/up.ts`, imports, breaks: IMPORT };
});
const downward = ROOMS.slice(1).map(
  (room, at): Case => ({ file: `common/${room}/down.ts`, imports: `../${ROOMS[at]}/a.ts` }),
);
const fromCommon = ROOMS.map(
  (room): Case => ({ file: `common/${room}/process.ts`, imports: '../../ingest/main.ts', breaks: IMPORT }),
);
const betweenProcesses = PROCESSES.flatMap((process) => [
  ...PROCESSES.filter((other) => other !== process).map(
    (other): Case => ({
      file: `${process}/room/${other}.ts`,
      imports: `../../${other}/main.ts`,
      breaks: IMPORT,
    }),
  ),
  { file: `${process}/deploy.ts`, imports: '../deploy/run/cli/main.ts', breaks: IMPORT },
  { file: `${process}/common.ts`, imports: '../common/redis/a.ts' },
]);
const commandLine: Case[] = [
  { file: 'deploy/run/cli/query/a.ts', imports: '../../../../reporter/queries/a.ts', breaks: IMPORT },
  { file: 'deploy/run/launcher/a.ts', imports: '../../../reporter/main.ts', breaks: IMPORT },
  {
    file: 'deploy/run/cli/process.ts',
    imports: 'the main.ts of two processes (allowed) and another file of one',
    breaks: IMPORT,
    source: [
      "import { a } from '../../../ingest/sync/main.ts';",
      "import { b } from '../../../reporter/main.ts';",
      "import { c } from '../../../reporter/queries/a.ts';",
      '\nexport const all = [a, b, c];\n',
    ].join('\n'),
  },
];
const testCode: Case[] = [
  { file: 'common/redis/t.ts', imports: '../testing/redis.ts', breaks: IMPORT },
  { file: 'reporter/api/t.ts', imports: '../../common/testing/context.ts', breaks: IMPORT },
  { file: 'analyzer/reconcile/t.ts', imports: '../decide/simulation/a.ts', breaks: IMPORT },
  { file: 'deploy/demo/t.ts', imports: '../verify/scenarios/dea.ts', breaks: IMPORT },
  { file: 'deploy/run/launcher/t.ts', imports: './testing.ts', breaks: IMPORT },
  { file: 'nudger/t.ts', imports: 'vitest', breaks: IMPORT },
  { file: 'common/redis/a.test.ts', imports: '../testing/redis.ts' },
  { file: 'deploy/verify/a.ts', imports: '../../common/testing/redis/server.ts' },
];
const otherForms: Case[] = [
  {
    file: 'common/runtime/type.ts',
    imports: 'a type of a higher room',
    breaks: IMPORT,
    source: "import type { X } from '../redis/a.ts';\n\nexport type Y = X;\n",
  },
  {
    file: 'common/runtime/dynamic.ts',
    imports: 'a higher room when it is called',
    breaks: IMPORT,
    source: "export const load = () => import('../redis/a.ts');\n",
  },
  {
    file: 'common/process.ts',
    imports: '../ingest/main.ts',
    breaks: IMPORT,
  },
];
const cycle: Case[] = [
  { file: 'nudger/one.ts', imports: './two.ts', breaks: CYCLE },
  { file: 'nudger/two.ts', imports: './one.ts', breaks: CYCLE },
  { file: 'nudger/three.ts', imports: './one.ts' },
];
const cases = [
  ...upward,
  ...downward,
  ...fromCommon,
  ...betweenProcesses,
  ...commandLine,
  ...testCode,
  ...otherForms,
  ...cycle,
];

/** The rules that each file breaks. */
let found: Map<string, string[]>;

beforeAll(() => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'hm-imports-')));
  try {
    cpSync(join(packageRoot, 'biome.json'), join(folder, 'biome.json'));
    for (const { file, imports, source } of cases) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), source ?? `import { x } from '${imports}';\n\nexport const y = x;\n`);
    }
    found = lint(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);

function lint(folder: string): Map<string, string[]> {
  const biome = join(packageRoot, 'node_modules', '.bin', 'biome');
  const args = ['lint', '--vcs-enabled=false', '--max-diagnostics=none', '--reporter=github'];
  const { stdout } = spawnSync(biome, args, { cwd: folder, encoding: 'utf8' });
  const rules = new Map<string, string[]>();
  for (const [, rule = '', path = ''] of stdout.matchAll(/^::error title=([^,]+),file=([^,]+),/gm)) {
    const file = relative(folder, path);
    rules.set(file, [...(rules.get(file) ?? []), rule]);
  }
  return rules;
}

describe('the lint step', () => {
  test.each(cases.filter(({ breaks }) => breaks !== undefined))('refuses $file -> $imports', (broken) => {
    expect(found.get(broken.file)).toEqual([broken.breaks]);
  });

  test.each(cases.filter(({ breaks }) => breaks === undefined))('allows $file -> $imports', ({ file }) => {
    expect(found.get(file)).toBeUndefined();
  });
});
