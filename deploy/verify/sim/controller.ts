import { BulkApiServer, type BulkToken } from './bulk-api.ts';

/** An entry of a bulk page, as the controller writes it; a test may put any value in. */
export type BulkApp = Record<string, unknown>;

/**
 * The simulated controller that tests of the sync, scenarios, failover and chaos share: apps in the order in which they
 * were added, served as bulk pages. Its check of requests is `deploy/demo/controller/admission.ts`.
 *
 * Two other controllers stay apart on purpose, since they judge the product and must not share its view: the one of
 * `analyzer/decide/simulation/` and the demo's referee.
 */
export class SimulatedController extends BulkApiServer {
  readonly #apps = new Map<string, { order: number; app: BulkApp }>();
  #order = 0;

  /** Starts a controller without apps on a free loopback port. */
  static async start(options: { https?: { key: string; cert: string } } = {}): Promise<SimulatedController> {
    const controller = new SimulatedController(options.https);
    await controller.listen();
    return controller;
  }

  /** Adds or replaces an app. It is STARTED with one instance unless `app` differs; a new app is the last one listed. */
  put(id: string, app: BulkApp = {}): void {
    const defaults = {
      id,
      instances: 1,
      state: 'STARTED',
      memory: 256,
      package_state: 'STAGED',
      updated_at: '2014-04-15T15:14:56+00:00',
      version: `${id}-v1`,
    };
    const order = this.#apps.get(id)?.order ?? ++this.#order;
    this.#apps.set(id, { order, app: { ...defaults, ...app } });
  }

  get(id: string): BulkApp | undefined {
    return this.#apps.get(id)?.app;
  }

  delete(id: string): void {
    this.#apps.delete(id);
  }

  /** Moves an app to the end of the list. */
  move(id: string): void {
    const entry = this.#apps.get(id);
    if (entry === undefined) return;
    this.#apps.delete(id);
    this.#apps.set(id, { order: ++this.#order, app: entry.app });
  }

  clear(): void {
    this.#apps.clear();
  }

  protected override page({ id: after = 0, page = 0 }: BulkToken, batchSize: number): string {
    const listed: [string, { order: number; app: BulkApp }][] = [];
    let passed = 0;
    for (const entry of this.#apps) {
      const position = this.faults.pagesByCount ? ++passed : entry[1].order;
      if (position > after) listed.push(entry);
      if (listed.length === batchSize) break;
    }
    const { repeatList, repeatedShare = 1 } = this.faults;
    if (repeatList) return this.#pageAgainAndAgain(page, batchSize);
    if (repeatedShare < 1) return this.#pageOfShare(repeatedShare, page, batchSize);
    if (this.faults.endless) return endlessPage(page, batchSize);
    if (listed.length === 0 && this.faults.lastPage !== undefined) return this.faults.lastPage;
    const last = this.faults.pagesByCount ? after + listed.length : (listed.at(-1)?.[1].order ?? after);
    const token = this.faults.repeatFirstToken ? { id: batchSize, page: 1 } : { id: last, page: page + 1 };
    return pageText(listed, this.faults.token ?? JSON.stringify(token));
  }

  /** The list begins again after its last app, also in the middle of a page. */
  #pageAgainAndAgain(page: number, batchSize: number): string {
    const all = [...this.#apps];
    const count = Math.min(batchSize, all.length);
    const places = Array.from({ length: count }, (_, n) => (page * batchSize + n) % all.length);
    const listed = places.flatMap((place) => (all[place] ? [all[place]] : []));
    return pageText(listed, JSON.stringify({ page: page + 1 }));
  }

  /** The first pages, with a share of the apps, come again until there are as many pages as with all. */
  #pageOfShare(share: number, page: number, batchSize: number): string {
    const all = [...this.#apps];
    const pages = Math.max(1, Math.ceil((all.length * share) / batchSize));
    const from = (page % pages) * batchSize;
    const isOver = page * batchSize >= all.length;
    return pageText(isOver ? [] : all.slice(from, from + batchSize), JSON.stringify({ page: page + 1 }));
  }
}

function pageText(listed: readonly (readonly [string, { app: BulkApp }])[], token: string): string {
  // Concatenated, because an object would list numeric ids first.
  const results = listed.map(([id, { app }]) => `${JSON.stringify(id)}:${JSON.stringify(app)}`);
  return `{"results":{${results.join(',')}},"bulk_token":${token}}`;
}

function endlessPage(page: number, batchSize: number): string {
  const entry =
    '{"id":1,"instances":1,"state":"STARTED","memory":1,"package_state":"STAGED","updated_at":"2014-04-15","version":"v"}';
  const results = Array.from({ length: batchSize }, (_, n) => `"made-up-${page}-${n}":${entry}`);
  return `{"results":{${results.join(',')}},"bulk_token":{"page":${page + 1}}}`;
}
