import { createRequire, syncBuiltinESMExports } from 'node:module';
import type net from 'node:net';
import { Host } from './host.ts';
import { type FarEnd, type Link, VirtualSocket } from './virtual-socket.ts';
import type { VirtualTime } from './virtual-time.ts';

const require = createRequire(import.meta.url);

/** A server of the simulation. */
export type Accept = (socket: VirtualSocket) => FarEnd;

type Connect = typeof net.createConnection;

/**
 * Connects the hosts of a simulation within this process, while it is installed. A port is one of the simulation's own
 * servers (`serve`), or an HTTP server of this process, found when it listens.
 */
export class VirtualNetwork {
  readonly #time: VirtualTime;
  readonly #ports = new Map<number, Accept>();
  readonly #links = new Map<string, Link>();
  readonly #sockets = new Set<{ socket: VirtualSocket; port: number }>();
  readonly #undo: (() => void)[] = [];

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  serve(port: number, accept: Accept): void {
    this.#ports.set(port, accept);
  }

  /** Changes how a host reaches a port, also for open connections. A process that is started again keeps the name of its host. */
  setLink(host: Host, port: number, link: Link): void {
    this.#links.set(keyOf(host, port), link);
    for (const { socket, port: to } of [...this.#sockets])
      if (socket.host.name === host.name && to === port) socket.link = link;
  }

  /** All connections of a host to a port are reset; new ones are accepted. */
  reset(host: Host, port: number): void {
    for (const { socket, port: to } of [...this.#sockets])
      if (socket.host.name === host.name && to === port) socket.farEndClosed('ECONNRESET');
  }

  install(): void {
    const module = require('node:net') as typeof net;
    const { createConnection, connect } = module;
    const { listen } = module.Server.prototype;
    const network = this;
    const patched = ((...args: unknown[]) => this.#connect(args)) as Connect;
    Object.assign(module, { createConnection: patched, connect: patched });
    module.Server.prototype.listen = function (this: net.Server, ...args: unknown[]) {
      this.once('listening', () => network.#serveHttp(this));
      return (listen as (...args: unknown[]) => net.Server).apply(this, args);
    } as typeof listen;
    syncBuiltinESMExports();
    this.#undo.push(() => {
      Object.assign(module, { createConnection, connect });
      module.Server.prototype.listen = listen;
      syncBuiltinESMExports();
    });
  }

  restore(): void {
    for (const undo of this.#undo.splice(0)) undo();
  }

  #connect(args: unknown[]): VirtualSocket {
    const [first, second] = args;
    const port = Number(
      typeof first === 'object' && first !== null ? (first as { port: number }).port : first,
    );
    const callback = args.find((arg) => typeof arg === 'function') as (() => void) | undefined;
    const host = Host.current();
    if (host === undefined)
      throw new Error(`simulation: connection to ${String(second ?? '')}:${port} from outside of any host`);
    const link = this.#links.get(keyOf(host, port)) ?? 'open';
    const socket = new VirtualSocket({ time: this.#time, host, link });
    if (callback !== undefined) socket.once('connect', callback);
    const open = { socket, port };
    this.#sockets.add(open);
    socket.once('close', () => this.#sockets.delete(open));
    const accept = this.#ports.get(port);
    if (accept === undefined || link === 'closed') socket.farEndClosed('ECONNREFUSED');
    else process.nextTick(() => socket.established(accept(socket)));
    return socket;
  }

  /** Gives an HTTP server of this process connections without a network. */
  #serveHttp(server: net.Server): void {
    const address = server.address();
    if (address === null || typeof address === 'string') return;
    const host = Host.current() ?? new Host('http server');
    this.serve(address.port, (client) => {
      const socket = new VirtualSocket({ time: this.#time, host, link: 'open' });
      process.nextTick(() => host.within(() => server.emit('connection', socket)));
      socket.established({
        received: (data) => client.deliver(data),
        closed: () => client.farEndClosed(),
      });
      return {
        received: (data) => socket.deliver(data),
        closed: () => socket.farEndClosed(),
      };
    });
    server.once('close', () => this.#ports.delete(address.port));
  }
}

const keyOf = (host: Host, port: number) => `${host.name} ${port}`;
