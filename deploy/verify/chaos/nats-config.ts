import { writeFileSync } from 'node:fs';

/** What the health manager's connections are denied, and what the server lacks. The cloud's own login is denied nothing. */
export interface NatsLimits {
  /** Subjects that may not be subscribed. */
  denied: readonly string[];
  /** Without headers, as before release 2.2. */
  withoutHeaders: boolean;
}

/** The login of the cloud. A connection without a login is one of the health manager. */
export const CLOUD_LOGIN = { user: 'cloud', pass: 'cloud' } as const;

export const SERVER_NAME = 'chaos';

export function writeNatsConfig(file: string, { denied, withoutHeaders }: NatsLimits): void {
  const deny = denied.map((subject) => `"${subject}"`).join(', ');
  writeFileSync(
    file,
    [
      `server_name: ${SERVER_NAME}`,
      ...(withoutHeaders ? ['no_header_support: true'] : []),
      'no_auth_user: hm',
      'authorization { users: [',
      `  { user: hm, password: hm, permissions: { publish: ">", subscribe: { allow: ">", deny: [${deny}] } } }`,
      `  { user: ${CLOUD_LOGIN.user}, password: ${CLOUD_LOGIN.pass} }`,
      '] }',
      '',
    ].join('\n'),
  );
}
