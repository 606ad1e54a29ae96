/**
 * The objects of kustomization.yaml at a real API server: strictly validated, admitted by the rules of their namespace.
 *
 * It needs kubectl, `etcd` and `kube-apiserver`; HM_TEST_ETCD and HM_TEST_KUBE_APISERVER name other paths. No kubelet runs, so
 * no pod starts.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, cpSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { freePort } from '../../../common/testing/redis/server.ts';
import { PROCESS_NAMES } from '../../run/launcher/child.ts';

const ETCD = process.env.HM_TEST_ETCD ?? 'etcd';
const API_SERVER = process.env.HM_TEST_KUBE_APISERVER ?? 'kube-apiserver';
const TOKEN = 'a-token-of-this-test';
const isPossible =
  spawnSync('kubectl', ['kustomize', '--help']).status === 0 &&
  [ETCD, API_SERVER].every((program) => spawnSync(program, ['--version']).status === 0);

let dir: string;
let url: string;
const servers: ChildProcess[] = [];

function start(program: string, args: string[]): void {
  const log = openSync(join(dir, 'servers.log'), 'a');
  servers.push(spawn(program, args, { cwd: dir, stdio: ['ignore', log, log] }));
}

function kubectl(args: string[], input?: string) {
  const access = [`--server=${url}`, '--insecure-skip-tls-verify', `--token=${TOKEN}`];
  const env = { PATH: process.env.PATH, HOME: dir };
  return spawnSync('kubectl', [...access, ...args], { cwd: dir, env, input, encoding: 'utf8' });
}

beforeAll(async () => {
  if (!isPossible) return;
  dir = mkdtempSync(join(tmpdir(), 'hm-api-server-'));
  const [client, peer, port] = [await freePort(), await freePort(), await freePort()];
  const [etcd, peers] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  start(ETCD, [
    ...['--data-dir', 'etcd', '--listen-client-urls', etcd, '--advertise-client-urls', etcd],
    ...['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers],
    ...['--initial-cluster', `default=${peers}`],
  ]);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(join(dir, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
  writeFileSync(join(dir, 'tokens.csv'), `${TOKEN},admin,1,"system:masters"\n`);
  start(API_SERVER, [
    ...[`--etcd-servers=${etcd}`, '--bind-address=127.0.0.1', `--secure-port=${port}`, '--cert-dir=certs'],
    ...['--service-account-issuer=https://kubernetes.default.svc', '--token-auth-file=tokens.csv'],
    ...['--service-account-signing-key-file=sa.key', '--service-account-key-file=sa.key'],
    ...['--service-cluster-ip-range=10.99.0.0/24', '--authorization-mode=RBAC'],
    // Without controllers there is no token for a pod.
    '--disable-admission-plugins=ServiceAccount',
  ]);
  url = `https://127.0.0.1:${port}`;
  const log = () => readFileSync(join(dir, 'servers.log'), 'utf8').slice(-3000);
  await vi.waitFor(() => expect(kubectl(['get', '--raw', '/readyz']).stdout, log()).toBe('ok'), 60_000);
  cpSync(join(packageRoot, 'deploy', 'install', 'kubernetes'), join(dir, 'my-cloud'), { recursive: true });
  const example = readFileSync(join(dir, 'my-cloud', 'secret.example.env'), 'utf8');
  writeFileSync(join(dir, 'my-cloud', 'secret.env'), example.replaceAll('change-me', 'our-own'));
}, 90_000);
afterAll(async () => {
  if (!isPossible) return;
  for (const server of servers.reverse()) {
    const exited = once(server, 'exit');
    server.kill('SIGTERM');
    await exited;
  }
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

const NAMESPACE = ['--namespace', 'health-manager'];
const apply = () => kubectl(['apply', '--validate=strict', '-k', 'my-cloud']);

/** The name of the Secret that a Deployment uses. */
function secretOf(name: string): string {
  const path = 'jsonpath={.spec.template.spec.containers[0].envFrom[0].secretRef.name}';
  return kubectl([...NAMESPACE, 'get', 'deployment', name, '-o', path]).stdout;
}

test.skipIf(!isPossible)(
  'an API server accepts every object, and a changed Secret changes every Deployment (needs kube-apiserver)',
  { timeout: 60_000 },
  () => {
    const first = apply();
    expect({ status: first.status, stderr: first.stderr }).toEqual({ status: 0, stderr: '' });
    expect(first.stdout.trim().split('\n')).toHaveLength(20);
    const before = PROCESS_NAMES.map(secretOf);
    appendFileSync(
      join(dir, 'my-cloud', 'secret.env'),
      '\nOTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318\n',
    );
    expect(apply()).toMatchObject({ status: 0, stderr: '' });
    const after = PROCESS_NAMES.map(secretOf);
    expect(new Set([...before, ...after]).size).toBe(2);
    expect(after).not.toContain(before[0]);
  },
);

test.skipIf(!isPossible)(
  'a pod of each Deployment is admitted by the namespace, and one with more rights is not (needs kube-apiserver)',
  { timeout: 60_000 },
  () => {
    expect(apply()).toMatchObject({ status: 0 });
    for (const name of PROCESS_NAMES) {
      const { stdout } = kubectl([...NAMESPACE, 'get', 'deployment', name, '-o', 'json']);
      const { spec } = JSON.parse(stdout) as { spec: { template: { spec: Record<string, unknown> } } };
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: spec.template.spec };
      const create = (value: object) => kubectl([...NAMESPACE, 'create', '-f', '-'], JSON.stringify(value));
      const refused = create({ ...pod, spec: { ...pod.spec, hostNetwork: true } });
      expect(refused.stderr).toContain('violates PodSecurity "restricted');
      expect(create(pod)).toMatchObject({ status: 0, stderr: '' });
    }
  },
);

test.skipIf(!isPossible)('a misspelled field is refused (needs kube-apiserver)', () => {
  const file = join(dir, 'my-cloud', 'disruption.yaml');
  const right = readFileSync(file, 'utf8');
  writeFileSync(file, right.replace('unhealthyPodEvictionPolicy', 'unhealthyPodEvictionPolicies'));
  expect(apply().stderr).toContain('unknown field "spec.unhealthyPodEvictionPolicies"');
  writeFileSync(file, right);
});
