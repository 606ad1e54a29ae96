import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

export interface PassReport {
  pass: string;
  /** An empty value removes the field. */
  fields: Readonly<Record<string, string | number>>;
  /** Hash to write to; the state of the sync if absent. */
  hash?: string | undefined;
}

/** Writes fields of a hash, if the pass is the latest one. @returns superseded if it is not: nothing was written then */
export async function reportPass(
  { scripts, keys }: ScriptAccess,
  { pass, fields, hash = keys.syncState }: PassReport,
): Promise<'reported' | 'superseded'> {
  const reply = await scripts.run(
    'report_pass',
    [keys.syncState, hash],
    [pass, ...Object.entries(fields).flat()],
  );
  return decodeCode(reply, 'reported', 'superseded');
}
