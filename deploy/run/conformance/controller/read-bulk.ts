/** Reads the bulk API as the sync does, for its checks. Only GET requests, and one request on NATS for the login. */
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { Agent, request } from 'undici';
import type { Settings } from '../../../../common/config/settings.ts';
import { parseBulkCredentials } from '../../../../common/messages/bulk.ts';
import { bulkCredentialsSubject } from '../../../../common/messages/subjects.ts';
import { type Bus, BusError } from '../../../../common/nats/bus.ts';
import { basicAuthorization } from '../../../../common/runtime/http/basic-auth.ts';
import { tlsConnector } from '../../../../common/runtime/secrets/tls.ts';
import { type BulkOptions, BulkPass } from './bulk-checks.ts';

type Unpack = (raw: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;

const UNPACK: Readonly<Record<string, Unpack>> = {
  gzip: promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip),
  deflate: promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate),
  br: promisify<Buffer, { maxOutputLength: number }, Buffer>(brotliDecompress),
};

/** A larger page is not accepted. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

interface ReadOptions extends BulkOptions {
  settings: Pick<Settings, 'bulkApi' | 'ccPartition' | 'bulkCredentialsTimeoutMs'>;
  bus: Pick<Bus, 'request'>;
  signal: AbortSignal;
}

/** Reads the list once. What goes wrong is a finding. @returns the pass, as far as it came */
export async function readBulk(options: ReadOptions): Promise<BulkPass> {
  const pass = new BulkPass(options);
  const { settings, who, report, signal } = options;
  const login = await readLogin(options);
  if (login === undefined) return pass;
  const { tls, timeoutMs } = settings.bulkApi;
  const connect = tls && tlsConnector(tls, () => undefined);
  const dispatcher = new Agent({ ...(connect && { connect }) });
  try {
    for (let token: string | undefined = '{}'; token !== undefined; ) {
      const body = await readPage(options, dispatcher, login, token);
      token = body === undefined ? undefined : pass.page(body);
    }
  } catch (error) {
    const { name, message, code } = error as NodeJS.ErrnoException;
    const isLate = name === 'TimeoutError' || code?.includes('TIMEOUT') === true;
    if (!signal.aborted)
      report(
        who,
        'bulk_failed',
        isLate ? `no page within ${timeoutMs / 1000} s` : `${code ?? name} ${message}`,
      );
  } finally {
    await dispatcher.destroy();
  }
  return pass;
}

async function readLogin({ settings, bus, report }: ReadOptions): Promise<string | undefined> {
  const subject = bulkCredentialsSubject(settings.ccPartition);
  try {
    const reply = await bus.request(subject, '', { timeoutMs: settings.bulkCredentialsTimeoutMs });
    const parsed = parseBulkCredentials(reply.data);
    if ('ok' in parsed) return basicAuthorization(parsed.ok);
    report(subject, 'no_credentials', `a reply without a usable ${parsed.reject}`);
  } catch (error) {
    if (!(error instanceof BusError)) throw error;
    report(subject, 'no_credentials', error.message);
  }
  return undefined;
}

/** @returns the body; undefined if it cannot be used, which is reported @throws Error of the connection, or of the time-out */
async function readPage(
  { settings, who, report, signal }: ReadOptions,
  dispatcher: Agent,
  authorization: string,
  token: string,
): Promise<Buffer | undefined> {
  const { host, batchSize, timeoutMs } = settings.bulkApi;
  const url = `${host}/bulk/apps?batch_size=${batchSize}&bulk_token=${encodeURIComponent(token)}`;
  const beganMs = performance.now();
  const { statusCode, headers, body } = await request(url, {
    dispatcher,
    headers: { authorization, accept: 'application/json', 'accept-encoding': 'identity' },
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });
  if (statusCode !== 200) {
    await body.dump({ limit: 65_536 });
    const why = statusCode === 401 ? ': the login that it gave over NATS is refused' : '';
    report(who, 'bulk_failed', `status ${statusCode}${why}`, `page after ${token}`);
    return undefined;
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) {
      report(who, 'bulk_failed', 'a page above 64 MiB');
      return undefined;
    }
    chunks.push(chunk);
  }
  const tookMs = performance.now() - beganMs;
  if (tookMs > timeoutMs / 2)
    report(
      who,
      'slow_page',
      `more than half of bulk_api.timeout (${timeoutMs / 1000} s)`,
      `${Math.round(tookMs)} ms`,
    );
  const encoding = String(headers['content-encoding'] ?? 'identity').toLowerCase();
  const raw = Buffer.concat(chunks);
  if (encoding === 'identity' || encoding === '') return raw;
  report(who, 'compressed_page', `content-encoding ${encoding.slice(0, 32)}`);
  const unpack = UNPACK[encoding];
  if (unpack !== undefined) return unpack(raw, { maxOutputLength: MAX_BODY_BYTES });
  report(who, 'bulk_failed', `content-encoding ${encoding.slice(0, 32)} is not known`);
  return undefined;
}
