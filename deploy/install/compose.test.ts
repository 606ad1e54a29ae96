import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../common/config/load.ts';
import { packageRoot } from '../../common/runtime/package-root.ts';
import { createProgram } from '../run/cli/program.ts';
import { PROCESS_NAMES, type ProcessName } from '../run/launcher/child.ts';
import { readDockerfile } from './testing/dockerfile.ts';

const INSTALL = join(packageRoot, 'deploy', 'install');
const text = (path: string) => readFileSync(join(INSTALL, path), 'utf8');

/** The part of the compose format that the file uses. Unknown and misspelled keys are rejected. */
const strict = { additionalProperties: false };
const Strings = Type.Array(Type.String());
const Service = Type.Object(
  {
    image: Type.String({ pattern: '^[a-z/-]+:[a-z0-9.]+$' }),
    build: Type.Optional(Type.Object({ context: Type.String(), dockerfile: Type.String() }, strict)),
    restart: Type.Literal('unless-stopped'),
    stop_grace_period: Type.Optional(Type.String({ pattern: '^\\d+s$' })),
    init: Type.Optional(Type.Literal(true)),
    entrypoint: Type.Optional(Strings),
    command: Type.Optional(Strings),
    volumes: Type.Optional(Strings),
    ports: Type.Optional(Strings),
    environment: Type.Optional(Type.Record(Type.String(), Type.String())),
    depends_on: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Object({ condition: Type.Enum(['service_healthy', 'service_started']) }, strict),
      ),
    ),
    healthcheck: Type.Optional(
      Type.Object(
        { test: Strings, interval: Type.String(), timeout: Type.String(), retries: Type.Integer() },
        strict,
      ),
    ),
    read_only: Type.Optional(Type.Boolean()),
    cap_drop: Type.Optional(Strings),
    security_opt: Type.Optional(Strings),
    deploy: Type.Optional(Type.Object({ replicas: Type.Integer({ minimum: 1 }) }, strict)),
  },
  strict,
);
const Compose = Type.Object(
  {
    name: Type.String(),
    'x-process': Type.Unknown(),
    services: Type.Record(Type.String(), Service),
    volumes: Type.Record(Type.String(), Type.Null()),
  },
  strict,
);

/** What the operator sets in `.env`. */
const ENV: Readonly<Record<string, string>> = {
  NATS_PASSWORD: 'n4ts',
  STATUS_PASSWORD: 'st4tus',
  GRAFANA_PASSWORD: 'gr4fana',
};

/** Compose's interpolation: `${NAME:?why}` and `${NAME:-default}`. */
function interpolate(yaml: string, env: Readonly<Record<string, string>>): string {
  return yaml.replaceAll(/\$\{([A-Z_]+):([-?])([^}]*)\}/g, (_, name: string, kind: string, rest: string) => {
    const found = env[name];
    if (found === undefined && kind === '?') throw new Error(`${name}: ${rest}`);
    return found ?? rest;
  });
}

const value: unknown = parse(interpolate(text('compose.yml'), ENV), { merge: true });
const compose = value as Static<typeof Compose>;
const { services } = compose;
const ofProcess = (name: ProcessName) => services[name] as Static<typeof Service>;

test('the file fits the compose format', () => {
  expect(Compile(Compose).Errors(value)).toEqual([]);
});

test('there are two copies of each process, with valid commands', () => {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    version: string;
  };
  for (const name of PROCESS_NAMES) {
    const { command = [], deploy, image } = ofProcess(name);
    expect({ deploy, image }).toEqual({ deploy: { replicas: 2 }, image: `health-manager:${version}` });
    const program = createProgram(() => async () => undefined).exitOverride();
    expect(() => program.parse(command, { from: 'user' })).not.toThrow();
    expect(command[0]).toBe(name);
  }
});

test('every mounted file or volume and every dependency exists', () => {
  for (const [name, { volumes = [], depends_on = {}, build }] of Object.entries(services)) {
    for (const volume of volumes) {
      const [source = ''] = volume.split(':');
      const exists = source.startsWith('.') ? existsSync(join(INSTALL, source)) : source in compose.volumes;
      expect(exists, `${name}: ${volume}`).toBe(true);
    }
    for (const [other, { condition }] of Object.entries(depends_on)) {
      expect(services, `${name}: ${other}`).toHaveProperty(other);
      if (condition === 'service_healthy') expect(services[other]).toHaveProperty('healthcheck');
    }
    if (build !== undefined) expect(existsSync(join(INSTALL, build.context, build.dockerfile))).toBe(true);
  }
});

test('the configuration is valid, mounted where the image reads it, and has the port of the health check', () => {
  const image = readDockerfile().at(-1);
  const port = image?.env.HM_HEALTH_PORT;
  for (const name of PROCESS_NAMES) {
    const { command = [], environment = {}, volumes = [] } = ofProcess(name);
    const { settings, warnings } = parseConfig(
      text('image/health_manager.yml'),
      'health_manager.yml',
      environment,
    );
    expect(warnings).toEqual([]);
    expect(settings).toMatchObject({
      redis: { kind: 'single', url: 'redis://redis:6379' },
      mbus: { servers: ['nats:4222'], user: 'hm', password: ENV.NATS_PASSWORD },
      status: { host: '0.0.0.0', user: 'operator', password: ENV.STATUS_PASSWORD },
    });
    expect(volumes).toEqual([
      `./image/health_manager.yml:${image?.env.CLOUD_FOUNDRY_CONFIG_PATH}/health_manager.yml:ro`,
    ]);
    expect(command.slice(1)).toEqual(['--http-port', port]);
  }
  expect(image?.port).toBe(Number(port));
  expect(services.reporter?.ports).toEqual([`127.0.0.1:54321-54322:${port}`]);
});

test('Prometheus scrapes every process on its port, the reporter with its login', () => {
  const { scrape_configs: jobs } = parse(text('../monitor/prometheus/prometheus.yml')) as {
    scrape_configs: {
      basic_auth?: { username: string; password_file: string };
      dns_sd_configs: { names: string[]; port: number }[];
    }[];
  };
  const targets = jobs.flatMap(({ basic_auth, dns_sd_configs }) =>
    dns_sd_configs.flatMap(({ names, port }) => names.map((name) => ({ name, port, login: basic_auth }))),
  );
  expect(targets.map(({ name }) => name).sort()).toEqual([...PROCESS_NAMES].sort());
  const { entrypoint, environment } = services.prometheus as Static<typeof Service>;
  expect(environment).toEqual({ STATUS_PASSWORD: ENV.STATUS_PASSWORD });
  for (const { name, port, login } of targets) {
    expect(port).toBe(readDockerfile().at(-1)?.port);
    const file = '/tmp/status-password';
    expect(entrypoint?.at(-1)).toContain(`"$$STATUS_PASSWORD" >${file};`);
    expect(login).toEqual(name === 'reporter' ? { username: 'operator', password_file: file } : undefined);
  }
});

test('every port is on the loopback, NATS too unless LISTEN opens it', () => {
  const ports = Object.values(services).flatMap((service) => service.ports ?? []);
  expect(ports.length).toBeGreaterThan(4);
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  expect(interpolate(text('compose.yml'), { ...ENV, LISTEN: '0.0.0.0' })).toContain('"0.0.0.0:4222:4222"');
});

test('no password has a default', () => {
  for (const name of Object.keys(ENV)) {
    const others = Object.fromEntries(Object.entries(ENV).filter(([other]) => other !== name));
    expect(() => interpolate(text('compose.yml'), others)).toThrow(name);
  }
  for (const path of ['compose.yml', 'image/health_manager.yml', '../monitor/prometheus/prometheus.yml'])
    expect(text(path)).not.toContain('change-me');
});

test.each(['NATS_PASSWORD', 'STATUS_PASSWORD'])(
  'no process starts with the example password in %s',
  (name) => {
    const of = parse(interpolate(text('compose.yml'), { ...ENV, [name]: 'change-me' }), {
      merge: true,
    }) as typeof compose;
    for (const process of PROCESS_NAMES)
      expect(() =>
        parseConfig(
          text('image/health_manager.yml'),
          'health_manager.yml',
          of.services[process]?.environment ?? {},
        ),
      ).toThrow(
        /: expected a password of your own \(here or in (MBUS_URI|STATUS_PASSWORD)\), got that of the example files$/,
      );
  },
);

test('Prometheus gives its alerts to the Alertmanager', () => {
  const { alerting } = parse(text('../monitor/prometheus/prometheus.yml')) as {
    alerting: { alertmanagers: { static_configs: { targets: string[] }[] }[] };
  };
  const [target = ''] = alerting.alertmanagers[0]?.static_configs[0]?.targets ?? [];
  expect(services).toHaveProperty(target.split(':')[0] ?? '');
});

test('Grafana reads Prometheus, and the dashboards from where they are mounted', () => {
  const { datasources } = parse(text('../monitor/grafana/provisioning/datasources/prometheus.yml')) as {
    datasources: { url: string }[];
  };
  const { hostname } = new URL(datasources[0]?.url ?? '');
  expect(services).toHaveProperty(hostname);
  const { providers } = parse(text('../monitor/grafana/provisioning/dashboards/health-manager.yml')) as {
    providers: { options: { path: string } }[];
  };
  expect(services.grafana?.volumes).toContain(
    `../monitor/grafana/dashboards:${providers[0]?.options.path}:ro`,
  );
});
