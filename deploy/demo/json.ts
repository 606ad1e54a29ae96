/** Parses a message; undefined when it is no JSON, which every schema rejects. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
