/** A load process: the controller's bulk API over a fleet of any size, with pages that are encoded once. */
import { connect } from 'nats';
import { bulkCredentialsSubject } from '../../../../common/messages/subjects.ts';
import { BulkApiServer, type BulkToken } from '../../sim/bulk-api.ts';
import { PARTITION } from '../../sim/dea.ts';
import { encodePage, PAGE_SIZE } from './fleet.ts';
import { type ControllerTasks, serveTasks } from './protocol.ts';

/** Serves droplets `0` to `count - 1`. The token of a page is the number of its first droplet. */
class FleetBulkApi extends BulkApiServer {
  #count = 0;
  readonly #pages = new Map<number, Buffer>();

  list(count: number): void {
    this.#pages.clear();
    this.#count = count;
    for (let from = 0; from < count; from += PAGE_SIZE) {
      this.#pages.set(from, Buffer.from(encodePage(from, Math.min(from + PAGE_SIZE, count))));
    }
  }

  protected override page({ id: from = 0 }: BulkToken): string | Buffer {
    return this.#pages.get(from) ?? `{"results":{},"bulk_token":{"id":${this.#count}}}`;
  }
}

const { nats: url } = JSON.parse(process.argv[2] ?? '{}') as { nats: string };
const nats = await connect({ servers: url, name: 'bench-controller', maxReconnectAttempts: -1 });
const api = new FleetBulkApi();
await api.listen();
nats.subscribe(bulkCredentialsSubject(PARTITION), {
  callback: (_error, message) => message.respond(api.credentials()),
});

serveTasks<ControllerTasks>({
  list: ({ droplets }) => {
    api.list(droplets);
    return { port: api.port };
  },
});
