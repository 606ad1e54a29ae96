/** Memory for heartbeats whose claims are retried (bytes). */
const MAX_BYTES = 16 * 1024 * 1024;

interface Planned {
  timer: NodeJS.Timeout;
  bytes: number;
}

/**
 * Retries the claims of a heartbeat at the moment when their owner becomes late, unless the DEA sends another heartbeat before. So the
 * instances of a DEA that has restarted under a new guid change hands before they are lost, however its heartbeats fall. A retry that is
 * lost with its process costs only that: the next heartbeat claims again.
 */
export class ClaimRetries {
  readonly #planned = new Map<string, Planned>();
  #bytes = 0;

  /** Plans a retry, in the place of an earlier one of the DEA. Without memory for it there is none. */
  plan(dea: string, bytes: number, afterMs: number, retry: () => void): void {
    this.cancel(dea);
    if (this.#bytes + bytes > MAX_BYTES) return;
    const timer = setTimeout(() => {
      this.cancel(dea);
      retry();
    }, afterMs).unref();
    this.#planned.set(dea, { timer, bytes });
    this.#bytes += bytes;
  }

  /** The DEA has sent another heartbeat. */
  cancel(dea: string): void {
    const planned = this.#planned.get(dea);
    if (planned === undefined) return;
    clearTimeout(planned.timer);
    this.#planned.delete(dea);
    this.#bytes -= planned.bytes;
  }
}
