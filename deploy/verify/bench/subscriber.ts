/** A load process: the least that a subscriber to heartbeats can do, to compare `ingest` with. */
import { connect } from 'nats';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
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
