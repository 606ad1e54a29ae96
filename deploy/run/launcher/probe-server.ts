import { connect } from 'node:net';

/** A server on the loopback answers at once or not at all. */
const ANSWER_MS = 1000;

export type Answer = 'ready' | 'busy' | 'silent';

/** Whether the Redis with this pid answers on the port; busy while it loads its data. */
export async function askRedis(port: number, pid: number): Promise<Answer> {
  const reply = await ask(port, 'INFO\r\nPING\r\n', /^(\+PONG|-LOADING)/m);
  if (!reply?.includes(`process_id:${pid}\r\n`)) return 'silent';
  return reply.includes('+PONG') ? 'ready' : 'busy';
}

/** Whether the NATS server of this name answers on the port. */
export async function askNats(port: number, serverName: string): Promise<Answer> {
  const reply = await ask(port, '', /\r\n/);
  return reply?.includes(`"server_name":"${serverName}"`) ? 'ready' : 'silent';
}

/** Sends and collects what comes back until it matches; undefined when it never does. */
function ask(port: number, request: string, enough: RegExp): Promise<string | undefined> {
  return new Promise((resolve) => {
    let reply = '';
    let matched = false;
    const socket = connect({ port, host: '127.0.0.1', timeout: ANSWER_MS });
    socket.setEncoding('utf8');
    socket.on('connect', () => request !== '' && socket.write(request));
    socket.on('data', (text: string) => {
      reply += text;
      matched = enough.test(reply);
      if (matched) socket.destroy();
    });
    socket.on('timeout', () => socket.destroy());
    // Not listening yet, or not any more: 'close' follows and says that there is no answer.
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(matched ? reply : undefined));
  });
}
