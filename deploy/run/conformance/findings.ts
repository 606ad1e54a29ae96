/** What does not fit the contract: each kind of finding once, and the list of those of a run. */

/** `error`: something is rejected, ignored or wrongly understood. `warning`: it works, but slower, or hides a fault. */
export type Level = 'error' | 'warning';
export type Side = 'agent' | 'controller';

/** Every kind of finding: its level and what follows from it. */
export const KINDS = {
  nothing_heard: { level: 'error', what: 'no heartbeat was received' },
  message_rejected: { level: 'error', what: 'the message is rejected as a whole' },
  entry_rejected: { level: 'error', what: 'the entry is rejected; the other entries of its message count' },
  exit_without_reason: { level: 'error', what: 'the exit is rejected: nothing is started in its place' },
  identity_changed: {
    level: 'error',
    what: 'an instance guid keeps its droplet, version and index; a change is refused',
  },
  instance_of_other: {
    level: 'error',
    what: 'two agents list one instance guid; the second claim is refused',
  },
  listed_twice: { level: 'error', what: 'only one of two entries with the same id counts' },
  silent: { level: 'error', what: 'its instances count as missing, and are started elsewhere' },
  slow_heartbeats: { level: 'warning', what: 'one late heartbeat makes its instances count as missing' },
  dea_not_last: { level: 'warning', what: 'each heartbeat is parsed; with `dea` last an equal one is not' },
  unsteady_heartbeat: {
    level: 'warning',
    what: 'each heartbeat is parsed and compared; an equal one is not',
  },
  unknown_state: { level: 'warning', what: 'the instance counts as not running' },
  ended_without_exit: { level: 'warning', what: 'its replacement starts only after droplet_lost' },
  start_unanswered: {
    level: 'warning',
    what: 'after a gap the fleet is known only when all heartbeats have come',
  },
  odd_time: { level: 'warning', what: 'the time is shown, and decides between duplicates' },
  ignored_field: { level: 'warning', what: 'the value is not used' },
  misspelt_field: { level: 'warning', what: 'a field of another name is ignored' },
  large_message: { level: 'warning', what: "above the server's max_payload the message is not delivered" },
  no_reply_subject: { level: 'warning', what: 'the request is not answered' },
  no_credentials: { level: 'error', what: 'without a login the desired state is not read' },
  bulk_failed: { level: 'error', what: 'the pass fails; after desired_state_lost nothing is decided' },
  token_repeats: { level: 'error', what: 'the pass fails: the list would never end' },
  odd_date: { level: 'warning', what: 'the date is sent back as last_updated' },
  slow_page: { level: 'warning', what: 'a page that takes bulk_api.timeout fails' },
  large_page: { level: 'warning', what: 'a page above 64 MiB fails' },
  compressed_page: { level: 'warning', what: 'it was asked for uncompressed, and is unpacked' },
  unsteady_page: {
    level: 'warning',
    what: 'an equal page costs nothing; this one is compared entry by entry',
  },
  unannounced_change: { level: 'warning', what: 'it takes effect with the next bulk sync, not at once' },
} as const satisfies Readonly<Record<string, { level: Level; what: string }>>;

export type Kind = keyof typeof KINDS;

export interface Finding {
  level: Level;
  side: Side;
  /** The guid of the agent; the subject or the host of the controller. */
  who: string;
  kind: Kind;
  /** What was expected or found, the same for all that are counted together. */
  detail: string;
  count: number;
  /** Of the first one. */
  example?: string;
}

/** Adds a finding of one side. */
export type Report = (who: string, kind: Kind, detail: string, example?: string, count?: number) => void;

/** Different findings that are kept. A broken fleet repeats the same ones. */
const MAX_FINDINGS = 1_000;
const MAX_EXAMPLE_LENGTH = 160;

/** The findings of a run. Equal ones are counted. */
export class Findings {
  readonly #found = new Map<string, Finding>();
  #dropped = 0;

  /** @returns adds findings of that side */
  of(side: Side): Report {
    return (who, kind, detail, example, count = 1) => {
      const key = JSON.stringify([side, who, kind, detail]);
      const known = this.#found.get(key);
      if (known !== undefined) known.count += count;
      else if (this.#found.size >= MAX_FINDINGS) this.#dropped += count;
      else {
        const { level } = KINDS[kind];
        const text = example?.slice(0, MAX_EXAMPLE_LENGTH);
        this.#found.set(key, {
          level,
          side,
          who,
          kind,
          detail,
          count,
          ...(text !== undefined && { example: text }),
        });
      }
    };
  }

  /** Findings that did not fit into the list. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Errors first, then by side, kind and place. */
  list(): Finding[] {
    const order = ({ level, side, kind, who }: Finding) => [level, side, kind, who].join('\n');
    return [...this.#found.values()].sort((a, b) => (order(a) < order(b) ? -1 : 1));
  }
}
