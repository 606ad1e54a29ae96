import { type ProcessDefinition, runProcesses } from '../../../common/process.ts';
import { ALL_IN_ONE, type ChildName, PROCESS_NAMES, type ProcessName } from '../launcher/child.ts';

/** Imported dynamically, so that each process loads only its own code. */
const definitions: Record<ProcessName, () => Promise<ProcessDefinition>> = {
  ingest: async () => (await import('../../../ingest/main.ts')).ingest,
  sync: async () => (await import('../../../ingest/sync/main.ts')).sync,
  analyzer: async () => (await import('../../../analyzer/main.ts')).analyzer,
  nudger: async () => (await import('../../../nudger/main.ts')).nudger,
  reporter: async () => (await import('../../../reporter/main.ts')).reporter,
};

/** Of processes on one machine each has an HTTP port of its own. @param first that of the first one */
export const portOf = (name: ProcessName, first: number): number => first + PROCESS_NAMES.indexOf(name);

/** `hm <process>`, `hm all`: runs one or all of them. Never returns: the process exits when it has stopped. */
export async function runChild(
  child: ChildName,
  { config, httpPort }: { config?: string; httpPort?: number },
): Promise<number> {
  const names = child === ALL_IN_ONE ? PROCESS_NAMES : [child];
  return runProcesses({
    definitions: await Promise.all(names.map((name) => definitions[name]())),
    ...(config !== undefined && { configFile: config }),
    ...(httpPort !== undefined && {
      httpPortOf: (name) => {
        if (child !== ALL_IN_ONE) return httpPort;
        return name === 'reporter' ? undefined : portOf(name, httpPort);
      },
    }),
  });
}
