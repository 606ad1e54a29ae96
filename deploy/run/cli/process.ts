import { type ProcessDefinition, runProcess } from '../../../common/process.ts';
import type { ProcessName } from '../launcher/child.ts';

/** Each process's code is loaded only in the process that runs it. */
const definitions: Record<ProcessName, () => Promise<ProcessDefinition>> = {
  ingest: async () => (await import('../../../ingest/main.ts')).ingest,
  sync: async () => (await import('../../../ingest/sync/main.ts')).sync,
  analyzer: async () => (await import('../../../analyzer/main.ts')).analyzer,
  nudger: async () => (await import('../../../nudger/main.ts')).nudger,
  reporter: async () => (await import('../../../reporter/main.ts')).reporter,
};

/** `hm <process>`: runs until it is told to stop; then the process exits by itself. */
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
