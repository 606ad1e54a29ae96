/** A load process: a minimal subscriber to heartbeats, as a baseline for `ingest`. */
import { connect } from 'nats';
import { SUBJECTS } from '../../../../common/messages/subjects.ts';
import { type SubscriberTasks, serveTasks } from './protocol.ts';

const { nats: url } = JSON.parse(process.argv[2] ?? '{}') as { nats: string };
const nats = await connect({ servers: url, name: 'bench-subscriber' });
let received = 0;
nats.subscribe(SUBJECTS.heartbeat, {
  callback: () => {
    received++;
  },
});
await nats.flush();
serveTasks<SubscriberTasks>({ count: () => ({ received }) });
