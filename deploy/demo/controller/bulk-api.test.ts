import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BulkApi, type Listed, newCredentials, serveBulkApi } from './bulk-api.ts';

const credentials = newCredentials();
const listed: Listed[] = ['e', 'd', 'c', 'b', 'a'].map((name, at) => ({
  // Ids in the opposite order of the list.
  id: 10 - at,
  updatedAt: new Date('2014-04-15T15:14:56.789Z'),
  app: { name, command: 'x', instances: at, state: 'STARTED', version: 'v1', memoryMb: 256 },
}));
let api: BulkApi;
beforeAll(async () => {
  api = await serveBulkApi({ credentials, apps: () => listed });
});
afterAll(() => api.close());

async function get(path: string, { user, password } = credentials) {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const response = await fetch(`http://127.0.0.1:${api.port}${path}`, {
    headers: { authorization, connection: 'close' },
  });
  const body = (await response.json()) as {
    results: Record<string, unknown>;
    bulk_token: unknown;
    counts: unknown;
  };
  return { status: response.status, body };
}
const appsAfter = (token: unknown, size: number) =>
  get(`/bulk/apps?batch_size=${size}&bulk_token=${encodeURIComponent(JSON.stringify(token))}`);

test('the pages list each app once; the last page is empty and returns its token', async () => {
  const pages: string[][] = [];
  let token: unknown = {};
  for (;;) {
    const { body } = await appsAfter(token, 2);
    pages.push(Object.keys(body.results));
    if (Object.keys(body.results).length === 0) {
      expect(body.bulk_token).toEqual(token);
      break;
    }
    token = body.bulk_token;
  }
  expect(pages).toEqual([['a', 'b'], ['c', 'd'], ['e'], []]);
});

test('an entry has the fields of the contract', async () => {
  const { body } = await appsAfter({ id: 9 }, 500);
  expect(body.results).toEqual({
    e: {
      ...{ id: 'e', instances: 0, state: 'STARTED', memory: 256, package_state: 'STAGED', version: 'v1' },
      updated_at: '2014-04-15T15:14:56+00:00',
    },
  });
});

test('counts', async () => {
  expect((await get('/bulk/counts?model=user')).body).toEqual({ counts: { user: 3 } });
});

describe('refused', () => {
  test.each([
    ['a token that is no JSON', '/bulk/apps?bulk_token=%7B'],
    ['a token of another kind', '/bulk/apps?bulk_token=%7B%22id%22%3A%22x%22%7D'],
    ['an empty batch', '/bulk/apps?batch_size=0'],
    ['another model', '/bulk/counts?model=app'],
  ])('%s: 400', async (_, path) => {
    expect((await get(path)).status).toBe(400);
  });

  test.each(['/bulk/apps', '/bulk/counts?model=user', '/nothing'])(
    'a wrong password for %s: 401',
    async (path) => {
      expect((await get(path, { ...credentials, password: 'wrong' })).status).toBe(401);
      expect((await get(path, { ...credentials, user: 'wrong' })).status).toBe(401);
    },
  );
});
