/** Heartbeats over HTTPS (port 5335) in the artefacts: compose, Kubernetes, image. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { parseConfig } from '../../common/config/load.ts';
import { OPTIONS } from '../../common/config/options.ts';
import type { HeartbeatApiSettings } from '../../common/config/settings.ts';
import { packageRoot } from '../../common/runtime/package-root.ts';
import { createAuthority } from '../../common/testing/certificates/issue.ts';
import { PROCESS_NAMES } from '../run/launcher/child.ts';
import { readDockerfile } from './testing/dockerfile.ts';

const INSTALL = join(packageRoot, 'deploy', 'install');
const PORT = OPTIONS['heartbeat_api.port'].default;
const LOGIN = { INTERNAL_API_USER: 'u', INTERNAL_API_PASSWORD: 'p' };
const text = (path: string) => readFileSync(join(INSTALL, path), 'utf8');

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-heartbeats-https-'));
  const authority = createAuthority(dir, 'authority');
  const { cert, key } = authority.issue('hm');
  copyFileSync(cert, join(dir, 'server.crt'));
  copyFileSync(key, join(dir, 'server.key'));
  copyFileSync(authority.ca, join(dir, 'ca.crt'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The settings of a container with this environment, in which /certificates is a folder with certificates. */
function heartbeatApi(environment: Record<string, string>): HeartbeatApiSettings | undefined {
  const env = Object.entries(environment).map(([name, value]) => [name, value.replace('/certificates', dir)]);
  const yaml = 'dialect: hm9000-http\ncc_internal_url: https://cc.example.com\n';
  const { settings } = parseConfig(yaml, 'health_manager.yml', { ...Object.fromEntries(env), ...LOGIN });
  return settings.heartbeatApi;
}

const ALL_FILES = () => ({
  ...{ host: '0.0.0.0', port: PORT, certFile: join(dir, 'server.crt') },
  ...{ keyFile: join(dir, 'server.key'), caFile: join(dir, 'ca.crt') },
});

test('the image exposes the port', () => {
  expect(readDockerfile().at(-1)?.ports).toEqual([8080, PORT]);
});

describe('compose.heartbeats-https.yml', () => {
  const yaml = text('compose.heartbeats-https.yml');
  const { services } = parse(yaml, { merge: true }) as {
    services: Record<string, { environment: Record<string, string>; ports?: string[]; volumes?: string[] }>;
  };

  test('gives ingest the certificates, and a port of the host for each copy, on the loopback', () => {
    const { environment, ports, volumes } = services.ingest ?? {};
    expect(heartbeatApi(environment ?? {})).toEqual(ALL_FILES());
    expect(volumes).toEqual(['./certificates:/certificates:ro']);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: compose fills it in
    expect(ports).toEqual(['${LISTEN:-127.0.0.1}:5335-5336:5335']);
  });

  test('every process has the login of the controller, whose dialect all of them read', () => {
    expect(Object.keys(services).sort()).toEqual([...PROCESS_NAMES].sort());
    for (const { environment } of Object.values(services))
      expect(environment).toMatchObject({
        INTERNAL_API_USER: expect.stringMatching(/^\$\{INTERNAL_API_USER:\?/),
        INTERNAL_API_PASSWORD: expect.stringMatching(/^\$\{INTERNAL_API_PASSWORD:\?/),
      });
    for (const [name, { environment }] of Object.entries(services))
      expect([name, 'HEARTBEAT_API_KEY_FILE' in environment]).toEqual([name, name === 'ingest']);
  });

  test('no secret is in it or in the repository', () => {
    expect(text('../../.gitignore')).toContain('deploy/install/certificates/');
    const { files } = JSON.parse(text('../../package.json')) as { files: string[] };
    expect(files).toContain('!deploy/install/certificates');
  });
});

// biome-ignore lint/suspicious/noExplicitAny: validated by the schemas of Kubernetes
type Manifest = { apiVersion: string; kind: string; metadata: { name: string }; spec: any };

const manifests = (yaml: string) =>
  parseAllDocuments(yaml).map((document) => (document as { toJS(): Manifest }).toJS());

async function validate(manifest: Manifest): Promise<void> {
  const module = await import(`kubernetes-models/${manifest.apiVersion}/${manifest.kind}`);
  new module[manifest.kind](manifest).validate();
}

describe('the component heartbeats-https of the Kubernetes base', () => {
  const component = (name: string) => text(join('kubernetes', 'heartbeats-https', name));
  const kustomization = parse(component('kustomization.yaml')) as {
    resources: string[];
    secretGenerator: { name: string; files: string[] }[];
    patches: { path: string }[];
  };
  const [service, policy] = kustomization.resources.flatMap((name) => manifests(component(name)));
  const [patch] = manifests(component(kustomization.patches[0]?.path ?? ''));
  const pod = patch?.spec.template.spec;
  const [ingest] = manifests(text('kubernetes/ingest.yaml'));

  test('its objects fit the schemas of Kubernetes', async () => {
    for (const manifest of [service, policy]) await validate(manifest as Manifest);
  });

  test('ingest has the certificates of the Secret, readable for its group, and the port', () => {
    const [container] = pod.containers;
    const env = container.env.map(({ name, value }: { name: string; value: string }) => [name, value]);
    expect(heartbeatApi(Object.fromEntries(env))).toEqual(ALL_FILES());
    expect(container.ports).toEqual([{ name: 'heartbeats', containerPort: PORT }]);
    const [mount] = container.volumeMounts;
    expect(mount).toMatchObject({ mountPath: '/certificates', readOnly: true });
    const [secrets] = kustomization.secretGenerator;
    expect(secrets?.files).toEqual(['server.crt', 'server.key', 'ca.crt']);
    expect(pod.volumes).toEqual([
      { name: mount.name, secret: { secretName: secrets?.name, defaultMode: 0o440 } },
    ]);
    expect(ingest?.spec.template.spec.securityContext.fsGroup).toBeGreaterThan(0);
  });

  test('the Service and the network policy are of ingest and of this port', () => {
    const { labels } = ingest?.spec.template.metadata ?? {};
    expect(labels).toMatchObject(service?.spec.selector);
    expect(labels).toMatchObject(policy?.spec.podSelector.matchLabels);
    expect(service?.spec.ports).toEqual([
      { name: 'heartbeats', protocol: 'TCP', port: PORT, targetPort: 'heartbeats' },
    ]);
    expect(policy?.spec.policyTypes).toEqual(['Ingress']);
    expect(policy?.spec.ingress).toEqual([
      { from: [{ ipBlock: { cidr: expect.any(String) } }], ports: [{ protocol: 'TCP', port: 'heartbeats' }] },
    ]);
  });

  const hasKubectl = spawnSync('kubectl', ['kustomize', '--help']).status === 0;

  test.skipIf(!hasKubectl)('kustomize builds it with the base (needs kubectl)', async () => {
    const base = join(dir, 'base');
    cpSync(join(INSTALL, 'kubernetes'), base, { recursive: true });
    copyFileSync(join(base, 'secret.example.env'), join(base, 'secret.env'));
    for (const name of ['server.crt', 'server.key', 'ca.crt'])
      copyFileSync(join(dir, name), join(base, 'heartbeats-https', name));
    const file = join(base, 'kustomization.yaml');
    const commented = readFileSync(file, 'utf8');
    const uncommented = commented.replace(
      '# components:\n#   - heartbeats-https',
      'components:\n  - heartbeats-https',
    );
    expect(uncommented).not.toBe(commented);
    writeFileSync(file, uncommented);
    const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', base], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const built = manifests(stdout);
    // kustomize wraps long values of a Secret, which the schema does not know.
    for (const manifest of built) if (manifest.kind !== 'Secret') await validate(manifest);
    const secret = built.find(
      ({ kind, metadata }) => kind === 'Secret' && metadata.name.startsWith('heartbeat-certificates-'),
    );
    for (const { metadata, spec } of built.filter(({ kind }) => kind === 'Deployment')) {
      const { containers, volumes } = spec.template.spec;
      const mounted = volumes.flatMap(
        (volume: { secret?: { secretName: string } }) => volume.secret?.secretName ?? [],
      );
      expect([metadata.name, mounted]).toEqual([
        metadata.name,
        metadata.name === 'ingest' ? [secret?.metadata.name] : [],
      ]);
      // The patch adds to the lists of the base, it does not replace them.
      expect(containers[0].ports.map(({ name }: { name: string }) => name)).toContain('http');
      expect(volumes.map(({ name }: { name: string }) => name)).toContain('config');
    }
  });
});
