/** The address at which other hosts reach this process. */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** As in HM 2.0, a root name server: the route to it is the route to the network at large. */
const DEFAULT_ROUTE = '198.41.0.4';
/** Nothing is sent to this port. */
const ANY_PORT = 1;

/**
 * `<ip>:<port>` of a server that listens on `bound`. If it listens on all addresses, the one with the route to
 * `localRoute`.
 */
export async function hostOf(bound: string, port: number, localRoute: string | undefined): Promise<string> {
  const ip = bound === '0.0.0.0' || bound === '::' ? await localAddress(localRoute ?? DEFAULT_ROUTE) : bound;
  return isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** The local address towards `route`; without such a route the first that is not loopback, else loopback. */
async function localAddress(route: string): Promise<string> {
  return (await addressTowards(route)) ?? firstAddress() ?? '127.0.0.1';
}

/** Finds the address by connecting a datagram socket, which sends nothing. */
function addressTowards(route: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(route) ? 'udp6' : 'udp4');
    const finish = (address: string | undefined) => {
      socket.close();
      resolve(address);
    };
    socket.once('error', () => finish(undefined));
    socket.once('connect', () => finish(socket.address().address));
    socket.connect(ANY_PORT, route);
  });
}

function firstAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flat()
    .find((address) => address !== undefined && !address.internal && address.family === 'IPv4')?.address;
}
