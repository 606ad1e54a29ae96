import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Certificate, createAuthority } from '../testing/certificates/issue.ts';
import { type ConfigError, parseConfig } from './load.ts';

let dir: string;
let ca: string;
let own: Certificate;
let other: Certificate;
let expired: Certificate;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-heartbeat-api-'));
  const authority = createAuthority(dir, 'ca');
  ca = authority.ca;
  own = authority.issue('own');
  other = authority.issue('other');
  expired = authority.issue('expired', { isExpired: true });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const HTTP =
  'dialect: hm9000-http\ncc_internal_url: http://cc\ninternal_api: {user: u, password: p}\nstatus: {user: u, password: p}\n';
const load = (yaml: string) => parseConfig(yaml, 'hm.yml', {});
const problems = (yaml: string): readonly string[] => {
  try {
    load(yaml);
    return [];
  } catch (error) {
    return (error as ConfigError).lines;
  }
};
const api = (keys: Record<string, unknown>) => `heartbeat_api: ${JSON.stringify(keys)}\n`;
const files = ({ cert, key } = own) => ({ cert_file: cert, key_file: key, ca_file: ca });

describe('heartbeat_api', () => {
  test('has the port that DEAs of hm9000 use', () => {
    const { settings, warnings } = load(HTTP + api(files()));
    expect(settings.heartbeatApi).toEqual({
      ...{ host: '0.0.0.0', port: 5335 },
      ...{ certFile: own.cert, keyFile: own.key, caFile: ca },
    });
    expect(warnings).toEqual([]);
    expect(
      parseConfig(HTTP + api(files()), 'hm.yml', { HEARTBEAT_API_PORT: '7' }).settings.heartbeatApi,
    ).toMatchObject({ port: 7 });
  });

  test('has its files, and the login of the controller, in the environment too: of the one process that needs them', () => {
    const env = {
      ...{ HEARTBEAT_API_CERT_FILE: own.cert, HEARTBEAT_API_KEY_FILE: own.key, HEARTBEAT_API_CA_FILE: ca },
      ...{ INTERNAL_API_USER: 'u', INTERNAL_API_PASSWORD: 'p' },
    };
    const yaml = HTTP.replace('internal_api: {user: u, password: p}\n', '');
    const { settings, warnings } = parseConfig(yaml, 'hm.yml', env);
    expect(settings.heartbeatApi).toMatchObject({ certFile: own.cert, keyFile: own.key, caFile: ca });
    expect(settings.internalApi).toMatchObject({ user: 'u', password: 'p' });
    expect(warnings).toEqual([]);
  });

  test('needs all of its files, and the key of its certificate', () => {
    expect(problems(HTTP + api({ cert_file: own.cert }))).toEqual([
      'hm.yml: heartbeat_api.key_file: expected the name of a readable PEM file with an unencrypted private key with the other files of heartbeat_api, got none',
      'hm.yml: heartbeat_api.ca_file: expected the name of a readable PEM file with certificates with the other files of heartbeat_api, got none',
    ]);
    expect(problems(HTTP + api({ ...files(), key_file: other.key }))).toEqual([
      `hm.yml: heartbeat_api.key_file: expected the key of the first certificate in ${own.cert}, got another key`,
    ]);
  });

  test.each([
    [
      'is missed with its dialect',
      () => HTTP,
      'expected the files of heartbeat_api with dialect hm9000-http',
    ],
    [
      'has no effect with another dialect',
      () => `status: {user: u, password: p}\n${api(files())}`,
      'expected dialect hm9000-http with it, got hm2',
    ],
    ['may be expired', () => HTTP + api(files(expired)), 'the certificate CN=expired expired on'],
  ])('%s: a warning', (_, yaml, text) => {
    expect(load(yaml()).warnings).toEqual([expect.stringContaining(text)]);
  });
});
