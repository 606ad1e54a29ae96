import { expect, test } from 'vitest';
import { parseConfig } from './load.ts';
import { WEBHOOK_EVENTS } from './webhooks.ts';

const load = (yaml: string) => parseConfig(yaml, 'health_manager.yml', {}).settings;
const problem = (yaml: string) => {
  try {
    load(yaml);
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
};

test('a list of receivers, each with its events', () => {
  const { webhooks } = load(
    'webhooks:\n- {url: "https://hooks.example/t0ken", events: [given_up, hold_on]}\n- {url: "http://10.0.0.9:8080/"}',
  );
  expect(webhooks).toEqual([
    { url: 'https://hooks.example/t0ken', events: ['hold_on', 'given_up'] },
    { url: 'http://10.0.0.9:8080/', events: [...WEBHOOK_EVENTS] },
  ]);
  expect(load('').webhooks).toEqual([]);
});

test.each([
  ['webhooks: https://hooks.example/t0ken'],
  ['webhooks: []'],
  ['webhooks: [https://hooks.example/t0ken]'],
  ['webhooks: [{url: "ftp://hooks.example/t0ken"}]'],
  ['webhooks: [{url: "https://user:t0ken@hooks.example/"}]'],
  ['webhooks: [{url: "https://hooks.example/t0ken", events: []}]'],
  ['webhooks: [{url: "https://hooks.example/t0ken", events: [crashed]}]'],
  ['webhooks: [{url: "https://hooks.example/t0ken", method: PUT}]'],
])('%s is refused, and its token is not shown', (yaml) => {
  expect(problem(yaml)).toContain('health_manager.yml: webhooks: expected a list');
  expect(problem(yaml)).not.toContain('t0ken');
});

test('half a read-only login is refused', () => {
  expect(problem('status: {readonly_user: viewer}')).toContain('status.readonly_password: expected a text');
  expect(problem('status: {readonly_password: secret}')).toContain('status.readonly_user: expected a text');
  expect(load('status: {readonly_user: viewer, readonly_password: secret}').status.readonly).toEqual({
    user: 'viewer',
    password: 'secret',
  });
});

test('the header of an authenticating proxy', () => {
  expect(load('status: {user_header: X-Forwarded-User}').status.userHeader).toBe('x-forwarded-user');
  expect(load('').status.userHeader).toBeUndefined();
  expect(problem('status: {user_header: "a b"}')).toContain('expected the name of an HTTP header');
});
