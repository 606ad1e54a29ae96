/** The address by which others reach this process. */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** HM 2.0's: the way to a root name server is the way to the network at large. */
const DEFAULT_ROUTE = '198.41.0.4';
/** Nothing is sent to it. */
const ANY_PORT = 1;

/**
 * `<ip>:<port>` of a server that listens on `bound`: that address, or where it listens on all of them, the one
 * from which the way to `localRoute` leads.
 */
export async function hostOf(bound: string, port: number, localRoute: string | undefined): Promise<string> {
  const ip = bound === '0.0.0.0' || bound === '::' ? await localAddress(localRoute ?? DEFAULT_ROUTE) : bound;
  return isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** The local address towards `route`; where there is no way to it the first that is not loopback, or loopback. */
async function localAddress(route: string): Promise<string> {
  return (await addressTowards(route)) ?? firstAddress() ?? '127.0.0.1';
}

/** Asks the system by connecting a datagram socket, which sends nothing. */
function addressTowards(route: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(route) ? 'udp6' : 'udp4');
    const end = (address: string | undefined) => {
      socket.close();
      resolve(address);
    };
    socket.once('error', () => end(undefined));
    socket.once('connect', () => end(socket.address().address));
    socket.connect(ANY_PORT, route);
  });
}

function firstAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flat()
    .find((address) => address !== undefined && !address.internal && address.family === 'IPv4')?.address;
}
