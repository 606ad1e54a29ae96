import type { TSchema } from 'typebox';
import { stringify } from 'yaml';

const GENERATED =
  '# Written by `npm run docs` from `deploy/docs/specs/`: change it there. A test checks that this file is up to date.';

/** A specification as a file. */
export function toYaml(document: Record<string, unknown>): string {
  return `${GENERATED}\n${stringify(document, { aliasDuplicateObjects: false, lineWidth: 0 })}`;
}

/** A schema as plain JSON schema. */
export function plainSchema(schema: TSchema): unknown {
  return JSON.parse(JSON.stringify(schema));
}
