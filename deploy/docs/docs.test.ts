import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../common/runtime/package-root.ts';
import { createProgram } from '../run/cli/program.ts';
import { metricsOfAll } from './metrics.ts';
import { DOCS, PAGES } from './pages.ts';

const page = (name: string) => readFileSync(join(DOCS, name), 'utf8');
const names = readdirSync(DOCS).filter((name) => name.endsWith('.md'));

test.each(Object.entries(PAGES))('%s is up to date (npm run docs)', (name, write) => {
  expect(page(name)).toBe(write());
});

/** Source files of the processes, without tests. */
function sources(folder: string): string[] {
  return readdirSync(join(packageRoot, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return /\.ts$/.test(path) && !/test/.test(path) ? [path] : [];
  });
}

test('every metric that the code names is on the page', () => {
  const known = new Set(metricsOfAll().map(({ name }) => name));
  const named = ['common', 'ingest', 'analyzer', 'nudger', 'reporter']
    .flatMap(sources)
    .flatMap((file) => readFileSync(join(packageRoot, file), 'utf8').match(/'hm_[a-z_]+'/g) ?? [])
    .map((name) => name.slice(1, -1));
  expect(named.length).toBeGreaterThan(20);
  for (const name of named) expect(known, name).toContain(name);
});

test('files and pages that the pages name are there', () => {
  for (const name of names) {
    const text = page(name);
    for (const [, link = ''] of text.matchAll(/\]\(([a-z]+\.md)(?:#[^)]*)?\)/g)) {
      expect(names, `${name}: ${link}`).toContain(link);
    }
    for (const [, path = ''] of text.matchAll(
      /`((?:analyzer|common|deploy|ingest|nudger|reporter)\/[^`* ]*)/g,
    )) {
      expect(() => readdirSync(join(packageRoot, path)), `${name}: ${path}`).not.toThrow(/ENOENT/);
    }
  }
});

test('commands and options that the pages name are there', () => {
  const program = createProgram(() => async () => undefined);
  for (const name of names) {
    for (const [line, command = ''] of page(name).matchAll(
      /(?:^|[`$(; ])(?:deploy\/)?hm ([a-z][a-z-]*)[^`\n|#]*/gm,
    )) {
      const found = program.commands.find((known) => known.name() === command);
      expect(found ?? command, `${name}: ${line}`).not.toBe(command === 'help' ? '' : command);
      for (const [flag] of line.matchAll(/--[a-z-]+/g)) {
        const sub = found?.commands.find((known) => line.includes(`hm ${command} ${known.name()}`));
        const flags = (sub ?? found)?.options.map(({ long }) => long) ?? [];
        expect(flags, `${name}: ${line}`).toContain(flag);
      }
    }
  }
});

test('npm scripts that the pages name are there', () => {
  const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const name of names) {
    for (const [, script = ''] of page(name).matchAll(/npm run ([a-z]+)/g)) {
      expect(Object.keys(manifest.scripts), `${name}: npm run ${script}`).toContain(script);
    }
  }
});
