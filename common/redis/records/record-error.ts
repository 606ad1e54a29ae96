/** A field of a droplet's hash is not in the format this program writes: somebody edited it. */
export class RecordError extends Error {
  readonly field: string;

  constructor(field: string, text: string, options?: ErrorOptions) {
    const found = JSON.stringify(text.slice(0, 200));
    super(
      `droplet record: field ${field}: expected this program's format, found ${found}; it is built again`,
      options,
    );
    this.name = 'RecordError';
    this.field = field;
  }
}

/** A droplet's record that cannot be read, because somebody edited it: one of its fields, or a key of the wrong type. */
export class UnreadableRecord extends Error {
  /** The text of the revision that was read; undefined if there was none. */
  readonly rev: string | undefined;

  constructor(message: string, rev: string | undefined, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UnreadableRecord';
    this.rev = rev;
  }
}
