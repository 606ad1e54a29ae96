import { hash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NOW } from '../../common/testing/builders.ts';
import { type Bench, STATUS, startBench } from '../../deploy/verify/fixtures/reporter.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await startBench(NOW);
});
afterAll(() => bench.stop());

const get = async (path: string, headers: Record<string, string> = login(STATUS.password)) => {
  const reply = await fetch(`http://127.0.0.1:${bench.reporter.port}${path}`, { headers });
  return { status: reply.status, headers: reply.headers, text: await reply.text() };
};
const login = (password: string) => ({
  authorization: `Basic ${Buffer.from(`${STATUS.user}:${password}`).toString('base64')}`,
});

test.each(['/docs', '/openapi.json', '/asyncapi.json'])('%s needs the login', async (path) => {
  expect((await get(path, {})).status).toBe(401);
  expect((await get(path)).status).toBe(200);
});

test('/docs is one page, and its policy allows only its own style', async () => {
  const reply = await get('/docs');
  expect(reply.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(reply.headers.get('cache-control')).toBe('no-store');
  const page = reply.text;
  expect(page).toContain('<article id="protocol">');
  const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(page) ?? [];
  expect(style).toContain('body {');
  expect(reply.headers.get('content-security-policy')).toBe(
    `default-src 'none'; style-src 'sha256-${hash('sha256', style, 'base64')}'; ` +
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  );
});

test('it is sent compressed to those that can unpack it', async () => {
  const reply = await get('/docs', { ...login(STATUS.password), 'accept-encoding': 'gzip' });
  expect(reply.headers.get('content-encoding')).toBe('gzip');
  expect(reply.text).toContain('<article id="protocol">');
});

test('the specifications are JSON', async () => {
  for (const [path, field, version] of [
    ['/openapi.json', 'openapi', '3.1.0'],
    ['/asyncapi.json', 'asyncapi', '3.0.0'],
  ] as const) {
    const reply = await get(path);
    expect(reply.headers.get('content-type')).toMatch(/^application\/json/);
    expect((JSON.parse(reply.text) as Record<string, unknown>)[field]).toBe(version);
  }
});
