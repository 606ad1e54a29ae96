/** Processes for the tests of `runProcesses`: `node process-fixture.js <config> <behaviour> [http port]`, or `<behaviour>; <behaviour>`. */
import { createServer } from 'node:http';
import { type ProcessContext, runProcesses } from '../process.ts';

const [configFile, behaviours, httpPort] = process.argv.slice(2);

const BEHAVIOURS: Record<string, (context: ProcessContext) => void | Promise<void>> = {
  serves: async ({ connectBus, lifecycle, log }) => {
    await connectBus();
    lifecycle.onStop('work', () => log.info({ event: 'released' }, 'work is done'));
  },
  'stops badly': ({ lifecycle }) => {
    lifecycle.onStop('work', () => {
      throw new Error('cannot stop');
    });
  },
  'stops never': ({ lifecycle }) => lifecycle.onStop('work', () => new Promise(() => {})),
  'stops never, four times': ({ lifecycle }) => {
    for (const name of ['one', 'two', 'three', 'four']) lifecycle.onStop(name, () => new Promise(() => {}));
  },
  'has its own server': ({ httpPort, lifecycle }) => {
    const server = createServer((_, response) => response.end('own server'));
    lifecycle.onStop('server', () => void server.close());
    return new Promise((resolve) => server.listen(httpPort, '127.0.0.1', resolve));
  },
  throws: () => {
    throw new Error('cannot start');
  },
  'rejects later': () => {
    setImmediate(() => Promise.reject(new Error('nobody listens')));
  },
  'throws later': () => {
    setImmediate(() => {
      throw new Error('nobody catches');
    });
  },
};

const KINDS = ['ingest', 'sync'] as const;

await runProcesses({
  definitions: (behaviours ?? '').split('; ').map((behaviour, at) => ({
    name: KINDS[at] as 'ingest' | 'sync',
    ...(behaviour === 'has its own server' && { ownHttp: true }),
    async start(context) {
      await BEHAVIOURS[behaviour]?.(context);
    },
  })),
  configFile,
  httpPortOf: (name) =>
    httpPort === undefined ? undefined : Number(httpPort) + KINDS.indexOf(name as 'ingest'),
});
