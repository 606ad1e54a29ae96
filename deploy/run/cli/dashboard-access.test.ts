import { expect, test } from 'vitest';
import { accessLines, dashboardUrl, oneTimeLogin } from './dashboard-access.ts';

const status = { host: '127.0.0.1', port: 54_321 };

test.each([
  ['127.0.0.1', 54_321, 'http://127.0.0.1:54321/'],
  ['0.0.0.0', 80, 'http://127.0.0.1:80/'],
  ['::', 8080, 'http://127.0.0.1:8080/'],
  ['fd00::1', 8080, 'http://[fd00::1]:8080/'],
  ['hm.example', 443, 'http://hm.example:443/'],
])('the URL for %s, port %i', (host, port, url) => {
  expect(dashboardUrl({ host, port })).toBe(url);
});

test('a port that the system chooses is not named', () => {
  expect(dashboardUrl({ ...status, port: 0 })).toBeUndefined();
  expect(accessLines({ ...status, port: 0 }, undefined)).toEqual([
    'Dashboard: on the port that the reporter logs',
  ]);
});

test('a login of its own only on a terminal and without a configured one, another each time', () => {
  const [one, two] = [oneTimeLogin(status, true), oneTimeLogin(status, true)];
  expect(one?.user).toBe('operator');
  expect(one?.password).toMatch(/^[\w-]{12}$/);
  expect(one?.password).not.toBe(two?.password);
  expect(oneTimeLogin(status, false)).toBeUndefined();
  expect(oneTimeLogin({ ...status, loginGiven: true }, true)).toBeUndefined();
});

test('the terminal shows URL and login', () => {
  expect(accessLines(status, { user: 'operator', password: 'abc' })).toEqual([
    'Dashboard: http://127.0.0.1:54321/',
    '  Login for this run: operator / abc',
    '  Set status.user and status.password (or STATUS_USER and STATUS_PASSWORD) for one that stays.',
  ]);
  expect(accessLines({ ...status, loginGiven: true }, undefined)).toEqual([
    'Dashboard: http://127.0.0.1:54321/',
  ]);
});
