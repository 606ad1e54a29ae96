import { Agent, request } from 'undici';
import type { Settings } from '../../../../common/config/settings.ts';
import { parseBulkCredentials, parseBulkPage } from '../../../../common/messages/bulk.ts';
import { bulkCredentialsSubject } from '../../../../common/messages/subjects.ts';
import { type Bus, BusError } from '../../../../common/nats/bus.ts';
import { basicAuthorization } from '../../../../common/runtime/http/basic-auth.ts';
import { tlsConnector } from '../../../../common/runtime/secrets/tls.ts';
import type { CheckResult } from './check-result.ts';

/** The time-out of a page, the same as that of sync (contract: bulk API). */
const PAGE_MS = 10_000;

/** Requests credentials over NATS and reads the first page with them. */
export async function checkBulkApi(settings: Settings, bus: Bus): Promise<CheckResult> {
  const subject = bulkCredentialsSubject(settings.ccPartition);
  try {
    const reply = await bus.request(subject, '', { timeoutMs: settings.bulkCredentialsTimeoutMs });
    const credentials = parseBulkCredentials(reply.data);
    if ('reject' in credentials)
      return { problem: `${subject}: the reply has no usable ${credentials.reject}` };
    return await firstPage(settings.bulkApi, credentials.ok);
  } catch (error) {
    if (error instanceof BusError) return { problem: `no credentials: ${error.message}` };
    return { problem: `${settings.bulkApi.host}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

async function firstPage(
  api: Settings['bulkApi'],
  login: { user: string; password: string },
): Promise<CheckResult> {
  const url = `${api.host}/bulk/apps?batch_size=${api.batchSize}&bulk_token=%7B%7D`;
  const authorization = basicAuthorization(login);
  const connect = api.tls && tlsConnector(api.tls, () => undefined);
  const dispatcher = new Agent({ ...(connect && { connect }) });
  try {
    const { statusCode, body } = await request(url, {
      dispatcher,
      headers: { authorization },
      signal: AbortSignal.timeout(PAGE_MS),
    });
    const bytes = await body.bytes();
    if (statusCode !== 200) return { problem: `${api.host}: answered with status ${statusCode}` };
    const page = parseBulkPage(bytes);
    if ('reject' in page) return { problem: `${api.host}: the page has no usable ${page.reject}` };
    return { ok: `${api.host}: a page of ${page.ok.ids.length} droplets` };
  } finally {
    await dispatcher.destroy();
  }
}
