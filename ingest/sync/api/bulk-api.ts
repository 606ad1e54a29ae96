import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { type Dispatcher, Pool } from 'undici';
import { parseUserCount } from '../../../common/messages/bulk.ts';
import { basicAuthorization } from '../../../common/runtime/http/basic-auth.ts';
import { BulkApiError } from '../errors.ts';
import type { Credentials } from './credentials.ts';

/** Contract, bulk API. */
export const PAGE_TIMEOUT_MS = 10_000;
export const MAX_BODY_BYTES = 64 * 1024 * 1024;
/** The user count is only shown, so it is not worth a long wait. */
const USERS_TIMEOUT_MS = 2_000;

type Unpack = (raw: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;

/** What a proxy may have done to a reply, by `content-encoding`. */
const UNPACK: Readonly<Record<string, Unpack>> = {
  gzip: promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip),
  'x-gzip': promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip),
  deflate: promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate),
  br: promisify<Buffer, { maxOutputLength: number }, Buffer>(brotliDecompress),
};

export interface BulkApiOptions {
  /** `bulk_api.host`, with scheme. */
  host: string;
  batchSize: number;
  credentials: Credentials;
  /** From the request to the end of the body (ms). */
  pageTimeoutMs?: number;
  maxBodyBytes?: number;
  /** Options of the connection, or what connects it. */
  connect?: Pool.Options['connect'];
}

/** Client for the controller's bulk API (contract: bulk API). Connections are reused. */
export class BulkApi {
  readonly #pool: Pool;
  readonly #path: string;
  /** Host and port, without login; for error messages. */
  readonly #name: string;
  readonly #batchSize: number;
  readonly #credentials: Credentials;
  readonly #pageTimeoutMs: number;
  readonly #maxBodyBytes: number;

  constructor(options: BulkApiOptions) {
    const { origin, pathname, host } = new URL(options.host);
    this.#path = pathname.replace(/\/+$/, '');
    this.#name = host;
    this.#batchSize = options.batchSize;
    this.#credentials = options.credentials;
    this.#pageTimeoutMs = options.pageTimeoutMs ?? PAGE_TIMEOUT_MS;
    this.#maxBodyBytes = options.maxBodyBytes ?? MAX_BODY_BYTES;
    this.#pool = new Pool(origin, {
      connections: 2,
      headersTimeout: this.#pageTimeoutMs,
      bodyTimeout: this.#pageTimeoutMs,
      ...(options.connect === undefined ? {} : { connect: options.connect }),
    });
  }

  /**
   * Requests one page of droplets and returns its raw body.
   *
   * @param token the token of the previous page, as JSON; `{}` for the first page
   * @throws BulkApiError; the signal's reason when it is aborted
   */
  page(token: string, signal: AbortSignal): Promise<Buffer> {
    const query = `batch_size=${this.#batchSize}&bulk_token=${encodeURIComponent(token)}`;
    return this.#get(`${this.#path}/bulk/apps?${query}`, this.#pageTimeoutMs, signal);
  }

  /**
   * Requests the number of users.
   *
   * @throws BulkApiError; the signal's reason when it is aborted
   */
  async users(signal: AbortSignal): Promise<number> {
    const timeoutMs = Math.min(USERS_TIMEOUT_MS, this.#pageTimeoutMs);
    const parsed = parseUserCount(await this.#get(`${this.#path}/bulk/counts?model=user`, timeoutMs, signal));
    if ('ok' in parsed) return parsed.ok;
    throw new BulkApiError('page', `${this.#name}: invalid user count: ${parsed.reject}`);
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #get(path: string, timeoutMs: number, signal: AbortSignal): Promise<Buffer> {
    signal.throwIfAborted();
    const login = await this.#credentials.get();
    const abort = new AbortController();
    const stop = () => abort.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    const timer = setTimeout(() => {
      abort.abort(new BulkApiError('timeout', `${this.#name}: no complete reply within ${timeoutMs} ms`));
    }, timeoutMs);
    try {
      const authorization = basicAuthorization(login);
      // Not compressed: on a local network that costs more than it saves. A proxy may do it all the same.
      const headers = { authorization, accept: 'application/json', 'accept-encoding': 'identity' };
      const response = await this.#pool.request({ method: 'GET', path, headers, signal: abort.signal });
      return await this.#read(response);
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof BulkApiError ? error : this.#asBulkApiError(error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  async #read({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<Buffer> {
    if (statusCode !== 200) {
      // An unread body would keep the connection busy; a long one is cut off with its connection.
      await body.dump({ limit: 65_536 }).catch(() => undefined);
      if (statusCode === 401) {
        this.#credentials.discard();
        throw new BulkApiError('unauthorized', `${this.#name}: status 401: credentials refused`);
      }
      throw new BulkApiError('status', `${this.#name}: status ${statusCode}`);
    }
    const chunks: Buffer[] = [];
    let size = Number(headers['content-length'] ?? 0);
    if (size <= this.#maxBodyBytes) {
      size = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > this.#maxBodyBytes) break;
        chunks.push(chunk);
      }
    }
    if (size > this.#maxBodyBytes) {
      body.on('error', () => undefined); // caused by the `destroy` below
      body.destroy();
      throw this.#tooLarge();
    }
    const raw = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size);
    return this.#unpack(raw, String(headers['content-encoding'] ?? 'identity').toLowerCase());
  }

  async #unpack(raw: Buffer, encoding: string): Promise<Buffer> {
    if (encoding === 'identity' || encoding === '') return raw;
    const unpack = UNPACK[encoding];
    if (unpack === undefined) {
      const known = ['identity', ...Object.keys(UNPACK)].join(', ');
      throw new BulkApiError(
        'encoding',
        `${this.#name}: content-encoding: expected ${known}, found ${encoding.slice(0, 64)}`,
      );
    }
    try {
      return await unpack(raw, { maxOutputLength: this.#maxBodyBytes });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw this.#tooLarge();
      const { message } = error as Error;
      throw new BulkApiError(
        'encoding',
        `${this.#name}: content-encoding ${encoding}: body not readable: ${message}`,
        {
          cause: error,
        },
      );
    }
  }

  #tooLarge(): BulkApiError {
    return new BulkApiError('too_large', `${this.#name}: body larger than ${this.#maxBodyBytes} bytes`);
  }

  #asBulkApiError(error: unknown): BulkApiError {
    const { code, message } = error as NodeJS.ErrnoException;
    const timeout = code?.includes('TIMEOUT') === true;
    const why = code === undefined ? message : `${code} ${message}`;
    return new BulkApiError(timeout ? 'timeout' : 'connection', `${this.#name}: ${why}`, { cause: error });
  }
}
