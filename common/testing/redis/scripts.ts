import type { ScriptName, Scripts } from '../../redis/scripts/scripts.ts';

/** Runs in the place of a script; `run` runs the script itself. */
type Around = (run: () => Promise<unknown>, name: ScriptName) => Promise<unknown>;

function wrap(run: Scripts['run'], names: readonly ScriptName[], around: Around): Scripts['run'] {
  return (name, keys, args) => {
    const original = () => run(name, keys, args);
    return names.includes(name) ? around(original, name) : original();
  };
}

/** For tests: connections on which scripts are delayed, fail, or meet a change of Redis. */
export function withScripts<R extends { scripts: Scripts }>(
  redis: R,
  names: readonly ScriptName[],
  around: Around,
): R {
  return { ...redis, scripts: { run: wrap(redis.scripts.run, names, around) } };
}

/** For tests: the same on connections that are in use. @returns ends it */
export function interceptScripts(
  { scripts }: { scripts: Scripts },
  names: readonly ScriptName[],
  around: Around,
): () => void {
  const { run } = scripts;
  scripts.run = wrap(run, names, around);
  return () => {
    scripts.run = run;
  };
}
