/** A program or a port is not to be had: exit code 69. The message says which and what to do. */
export class UnavailableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnavailableError';
  }
}
