import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { packageRoot } from '../common/runtime/package-root.ts';

const dir = mkdtempSync(join(tmpdir(), 'hm-audit-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Lock {
  packages: Record<string, Record<string, unknown>>;
}
const LOCK = join(packageRoot, 'package-lock.json');

/** Runs the checks on this project's lock file, changed by `edit`. */
function audit(report: unknown, edit: (lock: Lock) => void = () => undefined) {
  const lock = JSON.parse(readFileSync(LOCK, 'utf8')) as Lock;
  edit(lock);
  const file = join(dir, 'package-lock.json');
  writeFileSync(file, JSON.stringify(lock));
  const { status, stdout } = spawnSync(process.execPath, [join(packageRoot, 'deploy', 'audit.mjs')], {
    env: {
      ...process.env,
      HM_AUDIT_LOCK: file,
      REPORT: typeof report === 'string' ? report : JSON.stringify(report),
    },
    encoding: 'utf8',
  });
  return { status, stdout, last: stdout.trimEnd().split('\n').at(-1) };
}

const CLEAN = { metadata: { vulnerabilities: { total: 0 } }, vulnerabilities: {} };

test('npm runs no script of a dependency in this project', () => {
  const { stdout } = spawnSync('npm', ['config', 'get', 'ignore-scripts'], {
    cwd: packageRoot,
    encoding: 'utf8',
  });
  expect(stdout.trim()).toBe('true');
});

test('a clean report passes', () => {
  expect(audit(CLEAN)).toMatchObject({ status: 0, last: 'audit: 4 passed, 0 failed, 0 skipped' });
});

test.each(['', 'no JSON', '{"message":"405 Method Not Allowed - POST https://registry.example.com/audit"}'])(
  'a registry that does not answer is a skip, not a pass: %s',
  (report) => {
    const { status, stdout, last } = audit(report);
    expect({ status, last }).toEqual({ status: 0, last: 'audit: 3 passed, 0 failed, 1 skipped' });
    expect(stdout).toContain('audit: not audited: the registry does not answer audit requests');
    expect(stdout).not.toContain('example.com');
  },
);

test('a vulnerability of high severity fails, one of low severity does not', () => {
  const found = (severity: string) => ({ ...CLEAN, vulnerabilities: { leftpad: { severity } } });
  expect(audit(found('high'))).toMatchObject({ status: 1, last: 'audit: 3 passed, 1 failed, 0 skipped' });
  expect(audit(found('low')).status).toBe(0);
});

test.each([
  ['without integrity', { integrity: undefined }],
  ['with another licence', { license: 'UNLICENSED' }],
  ['with an install script', { hasInstallScript: true }],
])('a package %s fails, also without the registry', (_, change) => {
  const { status, stdout } = audit('', ({ packages }) =>
    Object.assign(packages['node_modules/yaml'] ?? {}, change),
  );
  expect(status).toBe(1);
  expect(stdout).toMatch(/audit: {3}yaml \d/);
});
