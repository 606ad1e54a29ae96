import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { parseConfig } from '../../../common/config/load.ts';
import { OPTIONS } from '../../../common/config/options.ts';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { metricsOfAll } from '../../docs/metrics.ts';
import { createProgram } from '../../run/cli/program.ts';
import { PROCESS_NAMES } from '../../run/launcher/child.ts';
import { readDockerfile } from '../testing/dockerfile.ts';

const FOLDER = join(packageRoot, 'deploy', 'install', 'kubernetes');
const text = (name: string) => readFileSync(join(FOLDER, name), 'utf8');

/** A Kubernetes object. The schemas define its fields. */
interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  // biome-ignore lint/suspicious/noExplicitAny: validated by the schemas of Kubernetes
  [field: string]: any;
}

function manifestsOf(yaml: string): Manifest[] {
  return parseAllDocuments(yaml).map((document) => {
    if ('errors' in document && document.errors[0] !== undefined) throw document.errors[0];
    return (document as { toJS(): Manifest }).toJS();
  });
}

const kustomization = parse(text('kustomization.yaml')) as {
  resources: string[];
  labels: { pairs: Record<string, string> }[];
  images: { name: string; newName: string; newTag: string }[];
  configMapGenerator: { name: string; files: string[] }[];
  secretGenerator: { name: string; envs: string[] }[];
};
const manifests = kustomization.resources.flatMap((name) => manifestsOf(text(name)));
const ofKind = (kind: string) => manifests.filter((manifest) => manifest.kind === kind);
const names = (kind: string) => ofKind(kind).map(({ metadata }) => metadata.name);
const deployments = ofKind('Deployment').map((deployment) => ({
  name: deployment.metadata.name,
  spec: deployment.spec,
  pod: deployment.spec.template.spec,
  container: deployment.spec.template.spec.containers[0],
  labels: deployment.spec.template.metadata.labels,
  annotations: deployment.spec.template.metadata.annotations,
}));
const image = readDockerfile().at(-1);

/** Validates with the schema of Kubernetes. @throws Error that names the invalid field */
async function validate(manifest: Manifest): Promise<void> {
  const { apiVersion, kind } = manifest;
  const module = (await import(`kubernetes-models/${apiVersion}/${kind}`)) as Record<
    string,
    new (
      value: unknown,
    ) => { validate(): void }
  >;
  const Model = module[kind];
  if (Model === undefined) throw new Error(`${apiVersion} ${kind}: no such kind`);
  new Model(manifest).validate();
}

test('every object fits the schema of Kubernetes, and a wrong one is rejected', async () => {
  for (const manifest of manifests) await validate(manifest);
  const [deployment] = ofKind('Deployment');
  const wrong = structuredClone(deployment) as Manifest;
  wrong.spec.template.spec.containers[0].livenessProbe.periodSeconds = 'ten';
  await expect(validate(wrong)).rejects.toThrow(/periodSeconds/);
});

test('every file except the examples is used', () => {
  const files = readdirSync(FOLDER).filter((name) => /\.ya?ml$/.test(name));
  const used = [
    'kustomization.yaml',
    ...kustomization.resources,
    ...kustomization.configMapGenerator.flatMap((of) => of.files),
  ];
  expect(files.filter((name) => !name.includes('.example.')).sort()).toEqual(used.sort());
});

test('each process has a Deployment, with a valid command and the image of this release', () => {
  expect(names('Deployment').sort()).toEqual([...PROCESS_NAMES].sort());
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    version: string;
  };
  expect(kustomization.images).toEqual([
    { name: 'health-manager', newName: expect.stringMatching(/\/health-manager$/), newTag: version },
  ]);
  expect(kustomization.labels[0]?.pairs).toMatchObject({
    'app.kubernetes.io/name': 'health-manager',
    'app.kubernetes.io/version': version,
  });
  for (const { name, container } of deployments) {
    const program = createProgram(() => async () => undefined).exitOverride();
    expect(() => program.parse(container.args, { from: 'user' })).not.toThrow();
    expect(container.args[0]).toBe(name);
    expect(container.image).toBe('health-manager');
  }
});

test('pods have the least privileges', () => {
  for (const { pod, container } of deployments) {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: Number(image?.user) });
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(names('ServiceAccount')).toContain(pod.serviceAccountName);
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(container.resources.limits.memory).toBeDefined();
  }
});

test('configuration, secrets, probes and scrapes match the image', () => {
  const [generator] = kustomization.configMapGenerator;
  const [secrets] = kustomization.secretGenerator;
  expect(secrets?.envs).toEqual(['secret.env']);
  // As kustomize reads it.
  const lines = text('secret.example.env').split('\n');
  const env: Record<string, string> = Object.fromEntries(
    lines
      .filter((line) => /^[^#]/.test(line))
      .map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)]),
  );
  const known = Object.values(OPTIONS).flatMap((key) => ('env' in key ? key.env : []));
  for (const name of Object.keys(env)) expect(known).toContain(name);
  // The passwords of the example must be replaced.
  expect(() => parseConfig(text('health_manager.yml'), 'health_manager.yml', env)).toThrow(
    /^(.*: expected a password of your own .*\n?){3}$/,
  );
  for (const [name, value] of Object.entries(env)) env[name] = value.replace('change-me', 'our-own');
  const { settings, warnings } = parseConfig(text('health_manager.yml'), 'health_manager.yml', env);
  expect(warnings).toEqual([]);
  for (const { pod, container, annotations } of deployments) {
    const [mount] = container.volumeMounts;
    expect(mount.mountPath).toBe(image?.env.CLOUD_FOUNDRY_CONFIG_PATH);
    expect(pod.volumes).toEqual([{ name: mount.name, configMap: { name: generator?.name } }]);
    expect(container.envFrom).toEqual([{ secretRef: { name: secrets?.name } }]);
    const [port] = container.ports;
    expect(container.args[2]).toBe(String(port.containerPort));
    expect(settings.status).toMatchObject({
      ...{ host: '0.0.0.0', port: port.containerPort },
      // The same at every start and in every copy: for the dashboard, for Prometheus, and so for the autoscaler of the nudger.
      ...{ user: env.STATUS_USER, password: env.STATUS_PASSWORD },
    });
    expect(container.livenessProbe.httpGet).toEqual({ path: '/healthz', port: port.name });
    expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: port.name });
    expect(annotations).toMatchObject({
      'prometheus.io/port': String(port.containerPort),
      'prometheus.io/path': '/metrics',
    });
    // An orderly stop takes up to 10 s.
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(10);
  }
});

test('budgets, autoscalers and the service select existing processes', () => {
  expect(names('PodDisruptionBudget').sort()).toEqual([...PROCESS_NAMES].sort());
  for (const budget of [...ofKind('PodDisruptionBudget'), ...ofKind('Service')]) {
    const selector = budget.spec.selector.matchLabels ?? budget.spec.selector;
    const of = deployments.filter(({ labels }) =>
      Object.entries(selector).every(([label, value]) => labels[label] === value),
    );
    expect(of.map(({ name }) => name)).toEqual([budget.metadata.name]);
  }
  const scaled = ofKind('HorizontalPodAutoscaler').map(({ spec }) => spec.scaleTargetRef.name);
  for (const { name, spec } of deployments) {
    // The number of replicas is set either here or by the autoscaler.
    expect(scaled.includes(name)).toBe(spec.replicas === undefined);
    if (spec.replicas !== undefined) expect(spec.replicas).toBe(2);
  }
  for (const { spec } of ofKind('HorizontalPodAutoscaler')) expect(spec.minReplicas).toBe(2);
});

test('a pod that is not ready does not hold up the drain of a node', () => {
  for (const { spec } of ofKind('PodDisruptionBudget'))
    expect(spec.unhealthyPodEvictionPolicy).toBe('AlwaysAllow');
});

test('autoscalers use existing metrics that the adapter provides', () => {
  const adapter = parse(text('prometheus-adapter.example.yaml')) as {
    rules: { external: { name: { as: string }; seriesQuery: string }[] };
  };
  const external = ofKind('HorizontalPodAutoscaler')
    .flatMap(({ spec }) => spec.metrics)
    .flatMap((metric) => metric.external?.metric ?? []);
  expect(external.length).toBeGreaterThan(0);
  for (const { name, selector } of external) {
    const metric = metricsOfAll().find((known) => known.name === name) as
      | { labelNames?: string[] }
      | undefined;
    expect(metric?.labelNames).toEqual(expect.arrayContaining(Object.keys(selector.matchLabels)));
    expect(adapter.rules.external.map((rule) => rule.name.as)).toContain(name);
  }
  for (const { seriesQuery } of adapter.rules.external) {
    expect(metricsOfAll().map(({ name }) => name)).toContain(seriesQuery.split('{')[0]);
  }
});

const hasKubectl = spawnSync('kubectl', ['kustomize', '--help']).status === 0;

test.skipIf(!hasKubectl)('kustomize builds valid objects (needs kubectl)', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'hm-kustomize-'));
  cpSync(FOLDER, dir, { recursive: true });
  cpSync(join(dir, 'secret.example.env'), join(dir, 'secret.env'));
  const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', dir], { encoding: 'utf8' });
  rmSync(dir, { recursive: true, force: true });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const built = manifestsOf(stdout);
  for (const manifest of built) await validate(manifest);
  expect(built).toHaveLength(manifests.length + 2);
  const map = built.find(({ kind }) => kind === 'ConfigMap');
  const [deployment] = built.filter(({ kind }) => kind === 'Deployment');
  expect(deployment?.spec.template.spec.volumes[0].configMap.name).toBe(map?.metadata.name);
  expect(map?.metadata.name).toMatch(/^health-manager-/);
  const secret = built.find(({ kind }) => kind === 'Secret');
  expect(secret?.metadata.name).toMatch(/^health-manager-/);
  const [container] = deployment?.spec.template.spec.containers ?? [];
  expect(container.envFrom).toEqual([{ secretRef: { name: secret?.metadata.name } }]);
});
