/** A conformance check of agents, the messages of one, and a clock that the test moves. */
import { beforeEach, expect } from 'vitest';
import { BusChecks } from '../../bus-checks.ts';
import { type Finding, Findings } from '../../findings.ts';

export const NOW_S = 1_700_000_000;
export const MAX_PAYLOAD = 10_000;
export const DEA = 'dea-1';
export const ENTRY = {
  ...{ cc_partition: 'default', droplet: 'app', version: 'v1', instance: 'i-1', index: 0 },
  ...{ state: 'RUNNING', state_timestamp: NOW_S - 100 },
};
export const EXIT = {
  ...{ cc_partition: 'default', droplet: 'app', version: 'v1', instance: 'i-1', index: 0 },
  ...{ reason: 'CRASHED', exit_status: 1, exit_description: '', crash_timestamp: NOW_S },
};

export interface AgentFixture {
  checks: BusChecks;
  /** On a clock that only goes forward (ms). */
  atMs: number;
  send(subject: string, message: unknown): void;
  heartbeat(droplets: unknown[], dea?: string): void;
  /** Also passes a heartbeat period. */
  beat(droplets: unknown[], dea?: string): void;
  /** Ends the watch. */
  found(): Partial<Finding>[];
}

export function useAgents(): AgentFixture {
  let findings: Findings;
  const fixture: AgentFixture = {
    checks: undefined as never,
    atMs: 0,
    send(subject, message) {
      const data = Buffer.from(typeof message === 'string' ? message : JSON.stringify(message));
      fixture.checks.take(subject, { data, atMs: fixture.atMs });
    },
    heartbeat: (droplets, dea = DEA) => fixture.send('dea.heartbeat', { droplets, dea }),
    beat(droplets, dea = DEA) {
      fixture.heartbeat(droplets, dea);
      fixture.atMs += 10_000;
    },
    found() {
      fixture.checks.finish(fixture.atMs);
      return findings.list().map(({ side: _, level: __, ...finding }) => finding);
    },
  };
  beforeEach(() => {
    findings = new Findings();
    fixture.atMs = 0;
    fixture.checks = new BusChecks({
      ...{ partition: 'default', dropletLostMs: 30_000, maxPayload: MAX_PAYLOAD, findings },
      nowS: () => NOW_S,
    });
  });
  return fixture;
}

/** Exactly one finding. */
export const one = (kind: string, detail: string | RegExp, more: object = {}) => [
  expect.objectContaining({ kind, detail: expect.stringMatching(detail), ...more }),
];
