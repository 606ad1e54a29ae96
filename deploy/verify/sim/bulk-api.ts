import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';

/** Faults of the bulk API. A fault stays on until the test removes it. */
export interface BulkApiFaults {
  /** Requests are never answered. */
  hang?: boolean;
  /** This status instead of one page (0 is the first), or of every page. */
  status?: { code: number; page?: number };
  /** How many of the next requests get a 401. */
  unauthorized?: number;
  /** The body ends in the middle of its JSON. */
  cutOff?: boolean;
  /** The connection ends in the middle of the body. */
  breakOff?: boolean;
  /** How many bytes of blanks precede the page. */
  padding?: number;
  /** Tokens count the apps before a page, so apps that come or go while pages are read shift the later pages. */
  pagesByCount?: boolean;
  /** Every page has the token of the first one. */
  repeatFirstToken?: boolean;
  /** Every body is encoded, as by a proxy. */
  encoding?: { name: string; encode(body: Buffer): Buffer };
  /** The body of the page without apps. */
  lastPage?: string;
  /** The token (JSON) of every page with apps. */
  token?: string;
  /** After the last app the list begins again, and its token advances. */
  repeatList?: boolean;
  /** Only this share of the apps is listed, again and again, until there are as many pages as with all. */
  repeatedShare?: number;
  /** Every page has new apps, and its token advances. */
  endless?: boolean;
}

/** The `bulk_token` of a page request; the product treats it as opaque. */
export interface BulkToken {
  /** The order of the last app of the page before. */
  id?: number;
  /** The number of this page; 0 is the first. */
  page?: number;
}

/** The HTTP server of a simulated controller: `/bulk/apps` and `/bulk/counts` with basic auth and faults. */
export abstract class BulkApiServer {
  readonly user = 'bulk_api';
  readonly password = 'p:ss w%rd';
  readonly faults: BulkApiFaults = {};
  /** The user count in `/bulk/counts`. */
  users = 42;
  /** Page requests so far, with any reply. */
  pageRequests = 0;
  /** `accept-encoding` of the latest page request. */
  acceptEncoding: string | undefined;
  /** Requests for `/bulk/counts` so far. */
  countRequests = 0;
  /** Runs before a page is built: for changes while pages are read. */
  beforePage: (page: number) => void | Promise<void> = () => undefined;
  readonly #https: { key: string; cert: string } | undefined;
  #port = 0;
  #server: FastifyInstance | undefined;

  constructor(https?: { key: string; cert: string }) {
    this.#https = https;
  }

  /** @returns the JSON of the page after `token` with at most `batchSize` apps */
  protected abstract page(token: BulkToken, batchSize: number): string | Buffer;

  get port(): number {
    return this.#port;
  }

  get host(): string {
    return `${this.#https === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  /** The reply to `cloudcontroller.bulk.credentials`. */
  credentials(): Uint8Array {
    return Buffer.from(JSON.stringify({ user: this.user, password: this.password }));
  }

  /** Listens on a free loopback port; after a `stop`, on the same port. */
  async listen(): Promise<void> {
    const server = Fastify({ forceCloseConnections: true, ...(this.#https ? { https: this.#https } : {}) });
    server.get('/bulk/apps', (request, reply) => this.#reply(request as FastifyRequest<PageRequest>, reply));
    server.get('/bulk/counts', async (request, reply) => {
      this.countRequests++;
      if (!this.#authorized(request)) return reply.code(401).send('not authorized');
      return { counts: { user: this.users } };
    });
    await server.listen({ host: '127.0.0.1', port: this.#port });
    const address = server.server.address();
    if (address !== null && typeof address === 'object') this.#port = address.port;
    this.#server = server as unknown as FastifyInstance;
  }

  /** Connections are refused until the next `listen`. */
  async stop(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  #authorized(request: FastifyRequest): boolean {
    if (this.faults.unauthorized !== undefined && this.faults.unauthorized > 0) {
      this.faults.unauthorized--;
      return false;
    }
    const expected = `Basic ${Buffer.from(`${this.user}:${this.password}`).toString('base64')}`;
    return request.headers.authorization === expected;
  }

  async #reply(request: FastifyRequest<PageRequest>, reply: FastifyReply): Promise<unknown> {
    this.pageRequests++;
    const { faults } = this;
    if (faults.hang) return new Promise(() => undefined);
    if (!this.#authorized(request)) return reply.code(401).send('not authorized');
    this.acceptEncoding = request.headers['accept-encoding'] as string | undefined;
    const asked: unknown = JSON.parse(request.query.bulk_token ?? '{}');
    const isOwn = typeof asked === 'object' && asked !== null && !Array.isArray(asked);
    // A token of `faults.token` follows the only page with apps.
    const token = (isOwn ? asked : { id: Number.MAX_SAFE_INTEGER }) as BulkToken;
    const page = token.page ?? 0;
    await this.beforePage(page);
    if (faults.status !== undefined && (faults.status.page ?? page) === page) {
      return reply.code(faults.status.code).header('location', '/elsewhere').send('no page');
    }
    const body = this.page(token, Number(request.query.batch_size));
    reply.type('application/json');
    if (faults.cutOff) return reply.send(body.slice(0, body.length / 2));
    if (faults.encoding !== undefined) {
      const padded = Buffer.from(' '.repeat(faults.padding ?? 0) + body);
      return reply.header('content-encoding', faults.encoding.name).send(faults.encoding.encode(padded));
    }
    if (faults.padding !== undefined) return reply.send(' '.repeat(faults.padding) + body);
    if (!faults.breakOff) return reply.send(body);
    reply.hijack();
    reply.raw.writeHead(200, { 'content-length': body.length });
    reply.raw.write(body.slice(0, body.length / 2), () => request.raw.socket.destroy());
    return reply;
  }
}

interface PageRequest {
  Querystring: { batch_size: string; bulk_token?: string };
}
