import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { ConfigError } from '../../../../common/config/load.ts';
import { Output } from '../output/output.ts';
import { migrateHm9000 } from './hm9000.ts';

/** `hm migrate-config`: prints the configuration that has the effect of hm9000's. */
export async function migrateConfig(file: string): Promise<number> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ConfigError([`${file}: cannot be read (${code ?? 'unknown error'})`], { cause });
  }
  const output = new Output();
  for (const line of migrateHm9000(text, basename(file)).trimEnd().split('\n')) await output.line(line);
  return 0;
}
