/** A load process: the controller's bulk API over a fleet of any size, its pages encoded once. */
import { createServer } from 'node:http';
import { connect } from 'nats';
import { bulkCredentialsSubject } from '../../../common/messages/subjects.ts';
import { PAGE, pageOf } from './fleet.ts';
import { type ControllerTasks, serveTasks } from './protocol.ts';

const { nats: url } = JSON.parse(process.argv[2] ?? '{}') as { nats: string };
const nats = await connect({ servers: url, name: 'bench-controller' });
nats.subscribe(bulkCredentialsSubject('default'), {
  callback: (_error, message) => message.respond(JSON.stringify({ user: 'bench', password: 'bench' })),
});

let droplets = 0;
const pages = new Map<number, Buffer>();

function page(from: number): Buffer {
  const kept = pages.get(from);
  if (kept !== undefined) return kept;
  const made = Buffer.from(pageOf(from, Math.min(from + PAGE, droplets)));
  pages.set(from, made);
  return made;
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://controller');
  response.setHeader('content-type', 'application/json');
  if (url.pathname === '/bulk/counts') return void response.end('{"counts":{"user":1}}');
  const token = JSON.parse(url.searchParams.get('bulk_token') ?? '{}') as { id?: number };
  const from = token.id ?? 0;
  response.end(from >= droplets ? `{"results":{},"bulk_token":{"id":${from}}}` : page(from));
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const address = server.address();
if (address === null || typeof address === 'string') throw new Error('no port');
const { port } = address;

serveTasks<ControllerTasks>({
  list: (args) => {
    pages.clear();
    droplets = args.droplets;
    for (let from = 0; from < droplets; from += PAGE) page(from);
    return { port };
  },
});
