/** A port or program is not available (exit code 69). The message names it and what to do. */
export class UnavailableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnavailableError';
  }
}
