// The checks of deploy/audit. REPORT has the output of `npm audit --json`. It is no TypeScript, because it runs before the build.
import { readFileSync } from 'node:fs';

/** Licences that allow to ship the package with this one. */
const LICENCES = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT OR Apache-2.0',
  'MPL-2.0',
  'Unlicense',
]);
/** They have an install script, which the set-up does not run: their programs are in packages of their own. */
const INSTALL_SCRIPTS = new Set(['esbuild', 'msgpackr-extract']);

const lock = JSON.parse(readFileSync(process.env.HM_AUDIT_LOCK ?? 'package-lock.json', 'utf8'));
const packages = Object.entries(lock.packages)
  .filter(([path]) => path !== '')
  .map(([path, value]) => ({ name: path.slice(path.lastIndexOf('node_modules/') + 13), ...value }));

const count = { passed: 0, failed: 0, skipped: 0 };
function check(what, wrong) {
  if (wrong.length === 0) count.passed++;
  else count.failed++;
  console.log(`audit: ${wrong.length === 0 ? 'ok' : 'FAILED'}: ${what}`);
  for (const text of wrong) console.log(`audit:   ${text}`);
}
const named = ({ name, version }) => `${name} ${version}`;

check(
  `${packages.length} packages have their integrity`,
  packages.filter(({ integrity }) => !/^sha512-/.test(integrity)).map(named),
);
check(
  'every licence is known',
  packages
    .filter(({ license }) => !LICENCES.has(license))
    .map((found) => `${named(found)}: ${found.license}`),
);
check(
  `no install script but those of ${[...INSTALL_SCRIPTS].join(', ')}`,
  packages.filter(({ name, hasInstallScript }) => hasInstallScript && !INSTALL_SCRIPTS.has(name)).map(named),
);

let report;
try {
  report = JSON.parse(process.env.REPORT);
} catch {
  // No reply, or no JSON.
}
const found = report?.metadata?.vulnerabilities;
if (found === undefined) {
  count.skipped++;
  const reason = String(report?.message ?? report?.error?.summary ?? 'no reply')
    .replaceAll(/\s*-?\s*[A-Z]*\s*https?:\S+/g, '')
    .trim();
  console.log(`audit: not audited: the registry does not answer audit requests (${reason})`);
} else {
  const all = Object.entries(report.vulnerabilities ?? {}).map(([name, { severity }]) => ({
    name,
    severity,
  }));
  const severe = all.filter(({ severity }) => severity === 'high' || severity === 'critical');
  for (const { name, severity } of all) console.log(`audit: ${severity}: ${name}`);
  check(
    'no vulnerability of high or critical severity',
    severe.map(({ name }) => name),
  );
}
console.log(`audit: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
process.exitCode = count.failed > 0 ? 1 : 0;
