/** A process to try `runProcess` with: `node process-fixture.js <config> <behaviour> [http port]`. */
import { type ProcessContext, runProcess } from '../process.ts';

const [configFile, behaviour, httpPort] = process.argv.slice(2);

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

await runProcess({
  definition: {
    name: 'ingest',
    async start(context) {
      await BEHAVIOURS[behaviour ?? '']?.(context);
    },
  },
  configFile,
  httpPort: httpPort === undefined ? undefined : Number(httpPort),
});
