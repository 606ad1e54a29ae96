import { connect } from 'node:net';

/** A server on the loopback answers at once or not at all. */
const ANSWER_MS = 1000;

/** Busy: it answers, but does not serve yet. Silent: no answer, or the answer of another server. */
export type ServerStatus = 'ready' | 'busy' | 'silent';

/** Probes the port for the Redis with this pid; busy while it loads its data. */
export async function probeRedis(port: number, pid: number, password?: string): Promise<ServerStatus> {
  const login = password === undefined ? '' : `AUTH ${password}\r\n`;
  const reply = await exchange(port, `${login}INFO\r\nPING\r\n`, /^(\+PONG|-LOADING)/m);
  if (!reply?.includes(`process_id:${pid}\r\n`)) return 'silent';
  return reply.includes('+PONG') ? 'ready' : 'busy';
}

/** Probes the port for the NATS server of this name. */
export async function probeNats(port: number, serverName: string): Promise<ServerStatus> {
  const reply = await exchange(port, '', /\r\n/);
  return reply?.includes(`"server_name":"${serverName}"`) ? 'ready' : 'silent';
}

/** Sends the request and collects the reply until it matches; undefined when it never does. */
function exchange(port: number, request: string, complete: RegExp): Promise<string | undefined> {
  return new Promise((resolve) => {
    let reply = '';
    let matched = false;
    const socket = connect({ port, host: '127.0.0.1', timeout: ANSWER_MS });
    socket.setEncoding('utf8');
    socket.on('connect', () => request !== '' && socket.write(request));
    socket.on('data', (text: string) => {
      reply += text;
      matched = complete.test(reply);
      if (matched) socket.destroy();
    });
    socket.on('timeout', () => socket.destroy());
    // No server listens on the port (yet). 'close' follows and resolves with undefined.
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(matched ? reply : undefined));
  });
}
