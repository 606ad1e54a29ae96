import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../../common/runtime/package-root.ts';

const run = promisify(execFile);

/**
 * The release from which an upgrade is tested: a commit or tag. Until there is a release, it is the first version with this
 * layout of Redis that passed all tests.
 */
export const OLD_RELEASE = '020d7c4';

/** The compiled code of an older commit, with the dependencies of this one. */
export interface OldRelease {
  /** Its `hm`. */
  program: string;
  remove(): void;
}

/** Whether the history has the release: it is absent in a shallow clone and in a package. */
export async function hasOldRelease(): Promise<boolean> {
  try {
    await run('git', ['cat-file', '-e', `${OLD_RELEASE}^{commit}`], { cwd: packageRoot });
    return true;
  } catch {
    return false;
  }
}

/** @throws Error with the output of git, tar or the compiler */
export async function buildOldRelease(): Promise<OldRelease> {
  const dir = mkdtempSync(join(tmpdir(), 'hm-old-release-'));
  const remove = () => rmSync(dir, { recursive: true, force: true });
  try {
    const root = join(dir, 'release');
    mkdirSync(root);
    const archive = join(dir, 'release.tar');
    await run('git', ['archive', '--output', archive, OLD_RELEASE], { cwd: packageRoot });
    await run('tar', ['-xf', archive, '-C', root]);
    symlinkSync(join(packageRoot, 'node_modules'), join(root, 'node_modules'));
    await run(join(packageRoot, 'node_modules', '.bin', 'tsc'), ['-p', root], { cwd: root });
    const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { bin: { hm: string } };
    return { program: join(root, bin.hm), remove };
  } catch (error) {
    remove();
    throw error;
  }
}
