/** A load process: answers each question with constant replies and reads nothing, as a baseline for `reporter`. */
import { connect } from 'nats';
import { BARE_QUESTION, type ReplierTasks, serveTasks } from './protocol.ts';

const { nats: url, replies } = JSON.parse(process.argv[2] ?? '{}') as { nats: string; replies: number };
const nats = await connect({ servers: url, name: 'bench-replier' });
const reply = Buffer.from(
  JSON.stringify({
    droplet: '00000000-0000-0000-0000-000000000000',
    version: '00000000-0000-0000-0000-000000000000',
    healthy: 1,
  }),
);
let answered = 0;
nats.subscribe(BARE_QUESTION, {
  callback: (_error, message) => {
    for (let n = 0; n < replies; n++) message.respond(reply);
    answered++;
  },
});
await nats.flush();
serveTasks<ReplierTasks>({ count: () => ({ answered }) });
