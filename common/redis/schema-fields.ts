/** The documentation of the fields of a droplet's hash, for `deploy/docs/redis.md`. */
import type { FIELD } from './keys.ts';

/** Who writes each field of a droplet's hash (one writer for each), and what it holds. */
export const FIELD_NOTES: Readonly<Record<keyof typeof FIELD, { writer: string; holds: string }>> = {
  rev: { writer: 'every change', holds: 'the revision: counts the changes of the record' },
  seen: { writer: 'the creator of the record', holds: 'when the droplet was first seen (ms)' },
  desired: { writer: 'sync', holds: 'the desired state, encoded' },
  gone: {
    writer: 'sync',
    holds: 'only if the droplet left the desired state: when it was last listed (ms)',
  },
  listed: { writer: 'sync', holds: 'begin of the latest pass that wrote the entry (ms)' },
  versionSince: {
    writer: 'sync',
    holds: 'only if the live version changed: when a pass brought it (ms)',
  },
  rebuilt: {
    writer: 'ingest, sync',
    holds: 'only if Redis had lost the record: when it was begun anew (ms)',
  },
  undesired: {
    writer: 'analyzer',
    holds: 'only if no pass listed the droplet: since when it has no desired state (ms)',
  },
  updated: { writer: 'ingest', holds: 'latest `droplet.updated` (ms)' },
  instance: {
    writer: 'ingest',
    holds:
      'instance guid -> the instance as last listed, encoded; contested (ms): another DEA lists it, too, at a slot that it would fill',
  },
  fence: {
    writer: 'ingest',
    holds: 'DEA -> heartbeats of it received before then (ms) must not change this droplet',
  },
  trace: {
    writer: 'ingest',
    holds: 'when a heartbeat last changed the record (ms), and its `traceparent`; only while tracing is on',
  },
  exit: { writer: 'ingest', holds: 'instance guid -> its exit, encoded' },
  exits: { writer: 'ingest', holds: 'how many exits there were' },
  handled: { writer: 'analyzer', holds: 'how many exits were handled' },
  handledUpdate: { writer: 'analyzer', holds: 'latest update that was handled (ms)' },
  slot: { writer: 'analyzer', holds: 'index -> slot (JSON)' },
  stop: { writer: 'analyzer', holds: 'instance guid -> pending stop (JSON)' },
  outcome: { writer: 'nudger', holds: 'decision id -> its outcome (JSON)' },
  retry: {
    writer: 'command line and reporter, for an operator; removed by the analyzer once handled',
    holds: 'index -> when an operator asked for another try (ms)',
  },
  settlements: {
    writer: 'nudger; removed by the analyzer with the last outcome',
    holds: 'how many of the changes that `rev` counts only stored an outcome',
  },
};
