import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { text } from 'node:stream/consumers';
import type { Settings } from '../../../../common/config/settings.ts';
import { HEADERS, SUBJECTS } from '../../../../common/messages/subjects.ts';
import type { Bus, Msg } from '../../../../common/nats/bus.ts';
import type { SentMessage } from '../sent.ts';

/** @returns why it is refused; undefined: accepted */
type Receive = (sent: SentMessage) => string | undefined;
type Header = (name: string) => string;

/** The side of a controller of hm9000's time that starts and stops reach: over NATS, or over HTTP as its internal API. */
export class Hm9000Controller {
  readonly #receive: Receive;
  readonly #seconds: () => number;
  #server: Server | undefined;
  readonly #login = { user: 'internal', password: 'p:w' };

  /** @param seconds time since the deployment started */
  constructor(receive: Receive, seconds: () => number) {
    this.#receive = receive;
    this.#seconds = seconds;
  }

  /** Over NATS; refusals reach nobody. */
  subscribe(bus: Bus): void {
    for (const [kind, subject] of [
      ['start', SUBJECTS.hm9000Start],
      ['stop', SUBJECTS.hm9000Stop],
    ] as const)
      bus.subscribe(subject, {}, (message: Msg) => {
        const header = (name: string) => message.headers?.get(name) ?? '';
        this.#receive(this.#sentMessage(kind, message.string(), header));
      });
  }

  /** Over HTTP, on a free loopback port. @returns the setting for it */
  async listen(): Promise<NonNullable<Settings['internalApi']>> {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    await new Promise<void>((listening) => this.#server?.listen(0, '127.0.0.1', listening));
    const { port } = this.#server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, ...this.#login };
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((closed) => (this.#server ? this.#server.close(closed) : closed(undefined)));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, kind, guid = ''] =
      /^\/internal\/dea\/hm9000\/(start|stop)\/([^/]+)$/.exec(request.url ?? '') ?? [];
    const login = Buffer.from(`${this.#login.user}:${this.#login.password}`).toString('base64');
    const body = await text(request);
    if (request.headers.authorization !== `Basic ${login}`) return void response.writeHead(401).end();
    if (request.method !== 'POST' || (kind !== 'start' && kind !== 'stop'))
      return void response.writeHead(404).end();
    const header = (name: string) => String(request.headers[name.toLowerCase()] ?? '');
    const sent = this.#sentMessage(kind, body, header);
    if (decodeURIComponent(guid) !== sent.droplet) return void response.writeHead(400).end('another app');
    const refusal = this.#receive(sent);
    response.writeHead(refusal === undefined ? 200 : 400).end(refusal);
  }

  #sentMessage(kind: SentMessage['kind'], body: string, header: Header): SentMessage {
    const message = JSON.parse(body) as Record<string, unknown>;
    return {
      kind,
      droplet: String(message.droplet),
      index: message.instance_index as number,
      instance: message.instance_guid as string | undefined,
      reason: header(HEADERS.reason),
      id: header(HEADERS.messageId),
      decision: header(HEADERS.decision),
      at: this.#seconds(),
      realMs: performance.now(),
      text: body,
      message,
    };
  }
}
