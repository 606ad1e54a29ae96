const CR = 13;

/** A command as a client of Redis sent it. */
export interface RespCommand {
  /** With its framing. */
  bytes: Buffer;
  /** In upper case. */
  name: string;
  args(): string[];
}

/** @returns the index after the line that begins at `from`; -1 while it is incomplete */
function afterLine(data: Buffer, from: number): number {
  const end = data.indexOf(CR, from);
  return end === -1 || end + 2 > data.length ? -1 : end + 2;
}

/** The number in a line like `$12\r\n`. */
const numberAt = (data: Buffer, from: number) =>
  Number.parseInt(data.toString('latin1', from + 1, from + 20), 10);

/**
 * Reads one RESP2 value, of which the bytes decide nothing here but where it ends.
 *
 * @returns the index after it; -1 while it is incomplete
 */
export function valueEnd(data: Buffer, from: number): number {
  const line = afterLine(data, from);
  if (line === -1) return -1;
  const type = String.fromCharCode(data[from] as number);
  if (type === '+' || type === '-' || type === ':') return line;
  if (type !== '$' && type !== '*')
    throw new Error(`RESP: expected a type, found ${JSON.stringify(type)} at ${from}`);
  const count = numberAt(data, from);
  if (count < 0) return line;
  if (type === '$') return line + count + 2 > data.length ? -1 : line + count + 2;
  let at = line;
  for (let n = 0; n < count; n++) {
    at = at < data.length ? valueEnd(data, at) : -1;
    if (at === -1) return -1;
  }
  return at;
}

/** Splits what a client sends into commands; a client sends each as an array of strings. */
export class CommandSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(data: Buffer): RespCommand[] {
    const all = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    const found: RespCommand[] = [];
    let from = 0;
    while (from < all.length) {
      const end = valueEnd(all, from);
      if (end === -1) break;
      const bytes = all.subarray(from, end);
      found.push({ bytes, name: (argsOf(bytes, 1)[0] as string).toUpperCase(), args: () => argsOf(bytes) });
      from = end;
    }
    this.#rest = all.subarray(from);
    return found;
  }
}

function argsOf(bytes: Buffer, most = Number.POSITIVE_INFINITY): string[] {
  const count = Math.min(numberAt(bytes, 0), most);
  const args: string[] = [];
  let at = afterLine(bytes, 0);
  for (let n = 0; n < count; n++) {
    const length = numberAt(bytes, at);
    const from = afterLine(bytes, at);
    args.push(bytes.toString('utf8', from, from + length));
    at = from + length + 2;
  }
  return args;
}

/** A command with its framing. */
export function encodeCommand(args: readonly string[]): Buffer {
  const parts = args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`);
  return Buffer.from(`*${args.length}\r\n${parts.join('')}`);
}
