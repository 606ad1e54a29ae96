import { parseBulkCredentials } from '../../../common/messages/bulk.ts';
import { BulkApiError } from '../errors.ts';

/** Login for the controller's bulk API. */
export interface Login {
  user: string;
  password: string;
}

/** Caches the login that the controller gives over NATS. It is requested once, and again after `discard`. */
export class Credentials {
  readonly #request: () => Promise<Uint8Array>;
  #login: Promise<Login> | undefined;

  /** @param request sends the request to the controller and returns the payload of its reply */
  constructor(request: () => Promise<Uint8Array>) {
    this.#request = request;
  }

  /** @throws BulkApiError `credentials` if the controller does not answer or its reply is invalid */
  get(): Promise<Login> {
    this.#login ??= this.#fetch();
    return this.#login;
  }

  /** Discards the login, because the controller refused it. */
  discard(): void {
    this.#login = undefined;
  }

  async #fetch(): Promise<Login> {
    try {
      const parsed = parseBulkCredentials(await this.#request());
      if ('ok' in parsed) return parsed.ok;
      throw new BulkApiError(
        'credentials',
        `bulk API credentials: the controller's reply has no valid ${parsed.reject}`,
      );
    } catch (error) {
      this.#login = undefined;
      if (error instanceof BulkApiError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new BulkApiError('credentials', `bulk API credentials: the controller did not answer: ${why}`);
    }
  }
}
