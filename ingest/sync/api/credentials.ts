import { parseBulkCredentials } from '../../../common/messages/incoming.ts';
import { BulkApiError } from '../errors.ts';

/** Login of the controller's bulk API. */
export interface Login {
  user: string;
  password: string;
}

/** The controller tells its login over NATS; it is asked once, and again after `refused`. */
export class Credentials {
  readonly #ask: () => Promise<Uint8Array>;
  #known: Promise<Login> | undefined;

  /** @param ask the request to the controller; gives the reply's payload */
  constructor(ask: () => Promise<Uint8Array>) {
    this.#ask = ask;
  }

  /** @throws BulkApiError `credentials` when nobody answers, or nothing that can be understood */
  get(): Promise<Login> {
    this.#known ??= this.#request();
    return this.#known;
  }

  /** The controller did not accept them. */
  refused(): void {
    this.#known = undefined;
  }

  async #request(): Promise<Login> {
    try {
      const parsed = parseBulkCredentials(await this.#ask());
      if ('ok' in parsed) return parsed.ok;
      throw new BulkApiError('credentials', `the controller's reply has no usable ${parsed.reject}`);
    } catch (error) {
      this.#known = undefined;
      if (error instanceof BulkApiError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new BulkApiError('credentials', `the controller was asked for them and did not answer: ${why}`);
    }
  }
}
