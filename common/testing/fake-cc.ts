import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';

/** An entry of a bulk page, as the controller writes it; tests put in what they like. */
export type FakeApp = Record<string, unknown>;

/** What goes wrong, until it is taken back. */
export interface Faults {
  /** No reply ever. */
  hang?: boolean;
  /** This status instead of this page (0 is the first), or of all pages. */
  status?: { code: number; page?: number };
  /** The next so many requests are not authorized. */
  unauthorized?: number;
  /** The reply ends in the middle of its JSON. */
  cutOff?: boolean;
  /** The connection ends in the middle of the reply. */
  breakOff?: boolean;
  /** So many bytes of blanks before the page. */
  padding?: number;
  /** Tokens count the apps before a page: what goes or comes while pages are read moves the later ones. */
  pagesByCount?: boolean;
  /** Every page has the token of the first one. */
  tokenStandsStill?: boolean;
}

/**
 * A controller's bulk API for tests: pages in the order in which apps were put, tokens that say after which one
 * to go on, basic auth, and switches for what can go wrong.
 */
export class FakeCc {
  readonly user = 'bulk_api';
  readonly password = 'p:ss w%rd';
  readonly faults: Faults = {};
  users = 42;
  /** Replies to page requests, good or bad, and to the counts. */
  pageRequests = 0;
  countRequests = 0;
  /** Called before a page is put together: for what changes while pages are read. */
  beforePage: (page: number) => void | Promise<void> = () => undefined;
  readonly #apps = new Map<string, { order: number; app: FakeApp }>();
  #order = 0;
  #port = 0;
  #server: FastifyInstance | undefined;
  readonly #https: { key: string; cert: string } | undefined;

  private constructor(https?: { key: string; cert: string }) {
    this.#https = https;
  }

  /** On a free loopback port. */
  static async start(options: { https?: { key: string; cert: string } } = {}): Promise<FakeCc> {
    const cc = new FakeCc(options.https);
    await cc.listen();
    return cc;
  }

  get host(): string {
    return `${this.#https === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  /** The reply to the credentials request. */
  credentials(): Uint8Array {
    return Buffer.from(JSON.stringify({ user: this.user, password: this.password }));
  }

  /** A started app of one instance unless `app` says otherwise; at the end of the list if it is new. */
  put(id: string, app: FakeApp = {}): void {
    const usual = {
      id,
      instances: 1,
      state: 'STARTED',
      memory: 256,
      package_state: 'STAGED',
      updated_at: '2014-04-15T15:14:56+00:00',
      version: `${id}-v1`,
    };
    const order = this.#apps.get(id)?.order ?? ++this.#order;
    this.#apps.set(id, { order, app: { ...usual, ...app } });
  }

  get(id: string): FakeApp | undefined {
    return this.#apps.get(id)?.app;
  }

  delete(id: string): void {
    this.#apps.delete(id);
  }

  /** Moves an app to the end of the list. */
  move(id: string): void {
    const there = this.#apps.get(id);
    if (there === undefined) return;
    this.#apps.delete(id);
    this.#apps.set(id, { order: ++this.#order, app: there.app });
  }

  clear(): void {
    this.#apps.clear();
  }

  /** Listens, again on the same port after a `stop`. */
  async listen(): Promise<void> {
    const server = Fastify({ forceCloseConnections: true, ...(this.#https ? { https: this.#https } : {}) });
    server.get('/bulk/apps', (request, reply) => this.#page(request as FastifyRequest<PageRequest>, reply));
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

  /** From here on connections are refused. */
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

  async #page(request: FastifyRequest<PageRequest>, reply: FastifyReply): Promise<unknown> {
    this.pageRequests++;
    const { faults } = this;
    if (faults.hang) return new Promise(() => undefined);
    if (!this.#authorized(request)) return reply.code(401).send('not authorized');
    const token = JSON.parse(request.query.bulk_token) as { id?: number; page?: number };
    const page = token.page ?? 0;
    await this.beforePage(page);
    if (faults.status !== undefined && (faults.status.page ?? page) === page) {
      return reply.code(faults.status.code).header('location', '/elsewhere').send('no page');
    }
    const body = this.#body(token.id ?? 0, page, Number(request.query.batch_size));
    reply.type('application/json');
    if (faults.cutOff) return reply.send(body.slice(0, body.length / 2));
    if (faults.padding !== undefined) return reply.send(' '.repeat(faults.padding) + body);
    if (!faults.breakOff) return reply.send(body);
    reply.hijack();
    reply.raw.writeHead(200, { 'content-length': body.length });
    reply.raw.write(body.slice(0, body.length / 2), () => request.raw.socket.destroy());
    return reply;
  }

  #body(after: number, page: number, batchSize: number): string {
    const listed: [string, { order: number; app: FakeApp }][] = [];
    let passed = 0;
    for (const entry of this.#apps) {
      const position = this.faults.pagesByCount ? ++passed : entry[1].order;
      if (position > after) listed.push(entry);
      if (listed.length === batchSize) break;
    }
    const last = this.faults.pagesByCount ? after + listed.length : (listed.at(-1)?.[1].order ?? after);
    const token = this.faults.tokenStandsStill ? { id: batchSize, page: 1 } : { id: last, page: page + 1 };
    // Put together by hand: an object would put ids that are numbers first.
    const results = listed.map(([id, { app }]) => `${JSON.stringify(id)}:${JSON.stringify(app)}`);
    return `{"results":{${results.join(',')}},"bulk_token":${JSON.stringify(token)}}`;
  }
}

interface PageRequest {
  Querystring: { batch_size: string; bulk_token: string };
}
