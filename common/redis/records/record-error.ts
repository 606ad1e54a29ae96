/** A field of a droplet's hash is not in the format this program writes: somebody edited it. */
export class RecordError extends Error {
  readonly field: string;

  constructor(field: string, text: string, options?: ErrorOptions) {
    const found = JSON.stringify(text.slice(0, 200));
    super(
      `droplet record: field ${field}: expected this program's format, found ${found}: correct it`,
      options,
    );
    this.name = 'RecordError';
    this.field = field;
  }
}
