import { describe, expect, it } from 'vitest';
import { parseConfig } from '../load.ts';

const LOGIN = { STATUS_USER: 'u', STATUS_PASSWORD: 'p' };
const warnings = (...intervals: string[]) =>
  parseConfig(`intervals: { ${intervals.join(', ')} }`, 'health_manager.yml', LOGIN).warnings;

describe('settings that do not fit together', () => {
  it('are none by default', () => {
    expect(warnings()).toEqual([]);
  });

  it.each([
    [
      ['desired_state_update: 180'],
      'health_manager.yml: intervals.desired_state_update: expected less than intervals.desired_state_lost (180 s), got 180 s: the desired state is too old to act on before the next bulk sync',
    ],
    [
      ['flapping_timeout: 200'],
      'health_manager.yml: intervals.flapping_timeout: expected more than the largest restart delay (245 s), got 200 s: each restart begins a new crash count, so no slot is ever given up',
    ],
    [
      ['flapping_timeout: 400', 'giveup_crash_number: 0'],
      'health_manager.yml: intervals.flapping_timeout: expected more than the largest restart delay (485 s), got 400 s: each restart begins a new crash count, so no slot is ever given up',
    ],
    [
      ['min_restart_delay: 90', 'max_restart_delay: 60'],
      'health_manager.yml: intervals.min_restart_delay: expected at most intervals.max_restart_delay (60 s), got 90 s: every delay is the shorter one',
    ],
  ])('warn: %j', (intervals, expected) => {
    expect(warnings(...intervals)).toEqual([expected]);
  });

  it('do not warn when the slot is given up before the longest delay', () => {
    expect(warnings('flapping_timeout: 100', 'giveup_crash_number: 2')).toEqual([]);
  });
});

describe('a login of the status page', () => {
  const login = (yaml: string, env: Record<string, string> = {}) =>
    parseConfig(yaml, 'health_manager.yml', env).warnings;

  it.each(['', 'status: {user: u}', 'status: {password: p}'])(
    'that is random is warned of, because nobody can log in: "%s"',
    (yaml) => {
      expect(login(yaml)).toEqual([
        'health_manager.yml: status.user: expected status.user and status.password (or STATUS_USER and STATUS_PASSWORD), got a random login: nobody can log in to the status page',
      ]);
    },
  );

  it('may come from the file or from the environment', () => {
    expect(login('status: {user: u, password: p}')).toEqual([]);
    expect(login('', LOGIN)).toEqual([]);
    const { settings } = parseConfig('status: {user: u, password: q}', 'health_manager.yml', LOGIN);
    expect(settings.status).toMatchObject({ user: 'u', password: 'p', loginGiven: true });
  });
});
