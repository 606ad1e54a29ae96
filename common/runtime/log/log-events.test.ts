import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isTestCode, sourceFiles } from '../../testing/source-files.ts';
import { packageRoot } from '../package-root.ts';
import { LOG_EVENTS } from './log-events.ts';

const PRODUCT = ['common', 'ingest', 'analyzer', 'nudger', 'reporter', 'deploy/run', 'deploy/demo'];
const files = sourceFiles(PRODUCT).filter(
  (file) => !isTestCode(file) && !file.startsWith('reporter/dashboard/'),
);

/** A log call up to its fields: `log.warn({`, `log[level]({`, `limited.warn('reason', {`. */
const LOG_CALL = /(?:\.(debug|info|warn|error|fatal)|\])\(\s*(?:(?:'[^']*'|`[^`]*`),\s*)?\{\s*(\w+)/g;
const EVENT = new RegExp(`${LOG_CALL.source}: '(\\w+)'`, 'g');
/** Fields that are put together before the call. */
const FIELDS = /const fields = \{ event: '(\w+)'/g;

function eventsOf(source: string): string[] {
  return [
    ...[...source.matchAll(EVENT)].flatMap(([, , field, name]) => (field === 'event' && name ? [name] : [])),
    ...[...source.matchAll(FIELDS)].flatMap(([, name]) => (name ? [name] : [])),
  ];
}

const read = (file: string) => readFileSync(join(packageRoot, file), 'utf8');

test('the events of the log calls are found', () => {
  expect(
    eventsOf(`
      log.info({ event: 'one', n: 1 }, 'text');
      this.#limited.warn(
        'reason',
        { event: 'two' }, 'text');
      log[problemLevel(error)]({ event: 'three', err: error }, 'text');
      const fields = { event: 'four', n: 1 };
      watcher.send(frame({ event: 'live' }));
      events.push({ event: 'live' });
    `),
  ).toEqual(['one', 'two', 'three', 'four']);
});

test('every event in a log call is listed, and every listed one is used', () => {
  const used = new Map<string, string>();
  for (const file of files) for (const name of eventsOf(read(file))) used.set(name, file);
  const unlisted = [...used]
    .filter(([name]) => !(name in LOG_EVENTS))
    .map(([name, file]) => `${name} (${file})`);
  const unused = Object.keys(LOG_EVENTS).filter((name) => !used.has(name));
  expect({ unlisted, unused }).toEqual({ unlisted: [], unused: [] });
});

test('every warning and error of the product has an event', () => {
  const without = files
    .filter((file) => !file.startsWith('deploy/demo/'))
    .flatMap((file) =>
      [...read(file).matchAll(LOG_CALL)]
        .filter(([, level, field]) => /warn|error|fatal/.test(level ?? '') && field !== 'event')
        .map(([call]) => `${file}: ${call}`),
    );
  expect(without).toEqual([]);
});
