import { type ProcessDefinition, runProcess } from '../../../common/process.ts';
import type { ProcessName } from '../launcher/child.ts';

/** Imported dynamically, so that each process loads only its own code. */
const definitions: Record<ProcessName, () => Promise<ProcessDefinition>> = {
  ingest: async () => (await import('../../../ingest/main.ts')).ingest,
  sync: async () => (await import('../../../ingest/sync/main.ts')).sync,
  analyzer: async () => (await import('../../../analyzer/main.ts')).analyzer,
  nudger: async () => (await import('../../../nudger/main.ts')).nudger,
  reporter: async () => (await import('../../../reporter/main.ts')).reporter,
};

/** `hm <process>`: runs one process. Never returns: the process exits when it has stopped. */
export async function runOne(
  name: ProcessName,
  options: { config?: string; httpPort?: number },
): Promise<number> {
  const definition = await definitions[name]();
  return runProcess({
    definition,
    ...(options.config !== undefined && { configFile: options.config }),
    ...(options.httpPort !== undefined && { httpPort: options.httpPort }),
  });
}
