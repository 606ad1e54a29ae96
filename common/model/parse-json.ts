/** A compiled TypeBox schema, as far as it is needed here. */
interface Schema<T> {
  Check(value: unknown): value is T;
}

/** @returns the value, or undefined if the text is not JSON or does not match the schema */
export function parseJson<T>(schema: Schema<T>, text: string): T | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return schema.Check(value) ? value : undefined;
}
