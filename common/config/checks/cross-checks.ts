/** What the values of several keys must fulfil together; a violation is refused with exit code 78. */
import { OPTIONS, type Path } from '../options.ts';
import { clientCertificateProblem, TLS_SECTIONS, type TlsSection } from '../tls.ts';

/** The values that were read. */
export interface ReadValues {
  /** Undefined: the key was not given, or its value is wrong. */
  get(path: Path): unknown;
  /** The key was given, with a right or a wrong value. */
  isGiven(path: Path): boolean;
}

/** What is wrong, by the key or section to change. Of a key with a wrong value nothing more is reported. */
type Problem = [path: string, problem: string];

export function crossChecks(values: ReadValues): Problem[] {
  return [
    ...redisProblems(values),
    ...TLS_SECTIONS.flatMap((section) => tlsProblems(values, section)),
    ...internalApiProblems(values),
    ...heartbeatApiProblems(values),
    ...readonlyProblems(values),
    ...examplePasswords(values),
  ];
}

const PATHS = Object.keys(OPTIONS) as Path[];

function inSection(section: string): Path[] {
  return PATHS.filter((path) => path.startsWith(`${section}.`));
}

/** A problem for each of the keys that was not given. */
function required({ isGiven }: ReadValues, paths: readonly Path[], when = ''): Problem[] {
  return paths
    .filter((path) => !isGiven(path))
    .map((path) => [path, `expected ${OPTIONS[path].parser.expected}${when}, got none`]);
}

function redisProblems(values: ReadValues): Problem[] {
  const has = (path: Path) => values.get(path) !== undefined;
  const kinds = [
    ...(has('redis.url') ? ['url'] : []),
    ...(has('redis.cluster') ? ['cluster'] : []),
    ...(inSection('redis.sentinel').some(has) ? ['sentinel'] : []),
  ];
  const problems: Problem[] = [];
  if (kinds.length > 1)
    problems.push(['redis', `expected one of url, cluster and sentinel, got ${kinds.join(' and ')}`]);
  if (kinds.includes('sentinel'))
    problems.push(...required(values, ['redis.sentinel.name', 'redis.sentinel.nodes']));
  return problems;
}

function internalApiProblems(values: ReadValues): Problem[] {
  return values.get('dialect') === 'hm9000-http'
    ? required(
        values,
        ['cc_internal_url', 'internal_api.user', 'internal_api.password'],
        ' with dialect hm9000-http',
      )
    : [];
}

const HEARTBEAT_FILES = [
  'heartbeat_api.cert_file',
  'heartbeat_api.key_file',
  'heartbeat_api.ca_file',
] as const;

/** Without one of the files there is no server, or one that anybody may send heartbeats to. */
function heartbeatApiProblems(values: ReadValues): Problem[] {
  if (!HEARTBEAT_FILES.some((path) => values.isGiven(path))) return [];
  const missing = required(values, HEARTBEAT_FILES, ' with the other files of heartbeat_api');
  if (missing.length > 0 || HEARTBEAT_FILES.some((path) => values.get(path) === undefined)) return missing;
  const [certFile, keyFile] = HEARTBEAT_FILES.map((path) => values.get(path) as string);
  const [name, problem] = clientCertificateProblem({ certFile, keyFile }) ?? [];
  return name !== undefined && problem !== undefined ? [[`heartbeat_api.${name}`, problem]] : [];
}

/** Half a login would be a login with a guessable other half. */
function readonlyProblems(values: ReadValues): Problem[] {
  const both = ['status.readonly_user', 'status.readonly_password'] as const;
  return both.some((path) => values.isGiven(path)) ? required(values, both, ' with the other one') : [];
}

/** The password of the example files. */
const EXAMPLE_PASSWORD = 'change-me';

/** Anybody who has read the examples would know it. */
function examplePasswords({ get }: ReadValues): Problem[] {
  return PATHS.filter((path) => hasExamplePassword(get(path))).map((path) => {
    const { env }: { env?: string } = OPTIONS[path];
    const where = env === undefined ? '' : ` (here or in ${env})`;
    return [path, `expected a password of your own${where}, got that of the example files`];
  });
}

function hasExamplePassword(value: unknown): boolean {
  if (typeof value === 'string')
    return (
      value === EXAMPLE_PASSWORD || (URL.canParse(value) && new URL(value).password === EXAMPLE_PASSWORD)
    );
  return typeof value === 'object' && value !== null && Object.values(value).some(hasExamplePassword);
}

const SERVERS: Readonly<Record<TlsSection, readonly Path[]>> = {
  'nats.tls': ['mbus'],
  'redis.tls': ['redis.url', 'redis.cluster', 'redis.sentinel.nodes'],
  'bulk_api.tls': ['bulk_api.host'],
};

function tlsProblems({ get, isGiven }: ReadValues, section: TlsSection): Problem[] {
  if (!inSection(section).some((path) => get(path) !== undefined)) return [];
  const problems: Problem[] = [];
  const servers = SERVERS[section];
  // Otherwise the launcher would start a private server, which has no TLS.
  if (!servers.some(isGiven)) problems.push([section, `expected ${servers.join(' or ')} with it, got none`]);
  const [cert, key] = [`${section}.cert_file`, `${section}.key_file`] as const;
  const files = {
    certFile: get(cert) as string | undefined,
    keyFile: get(key) as string | undefined,
  };
  const isReadable = [cert, key].every((path) => !isGiven(path) || get(path) !== undefined);
  const [name, problem] = (isReadable ? clientCertificateProblem(files) : undefined) ?? [];
  if (name !== undefined && problem !== undefined) problems.push([`${section}.${name}`, problem]);
  return problems;
}
