import { connect, type NatsConnection } from 'nats';

/** Time between two tries to connect (ms). */
const RETRY_MS = 500;

/** Connects to NATS, and waits without limit while the server is away. @param servers URLs, separated by commas */
export function connectNats(servers: string, name: string): Promise<NatsConnection> {
  return connect({
    servers: servers.split(','),
    name,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: true,
    reconnectTimeWait: RETRY_MS,
  });
}
