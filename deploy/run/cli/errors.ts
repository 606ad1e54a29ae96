import { ConfigError } from '../../../common/config/load.ts';
import { exitCodeOf } from '../../../common/process.ts';
import { EXIT } from '../../../common/runtime/lifecycle/exit-codes.ts';
import { UnavailableError } from '../launcher/unavailable-error.ts';

/** Something was not found or not reachable (exit code 1). */
export class FailedError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FailedError';
  }
}

/** Arguments that do not fit together (exit code 64). */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/**
 * The exit code and the stderr lines of an error that ended a command. An unexpected error is a defect and shown
 * with its stack.
 */
export function explainError(error: unknown): { code: number; lines: readonly string[] } {
  if (error instanceof ConfigError) return { code: EXIT.config, lines: error.lines };
  if (error instanceof UnavailableError) return { code: EXIT.unavailable, lines: [`hm: ${error.message}`] };
  if (error instanceof FailedError) return { code: EXIT.failed, lines: [`hm: ${error.message}`] };
  if (error instanceof UsageError) return { code: EXIT.usage, lines: [`hm: ${error.message}`] };
  const code = exitCodeOf(error);
  const text = error instanceof Error ? (code === EXIT.failed ? error.stack : error.message) : String(error);
  return { code, lines: [`hm: ${text ?? String(error)}`] };
}
