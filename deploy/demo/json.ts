/** The value that a text from the bus stands for; undefined when it is no JSON, which no schema lets pass. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
