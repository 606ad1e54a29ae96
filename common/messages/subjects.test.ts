import { expect, test } from 'vitest';
import {
  bulkCredentialsSubject,
  HEADERS,
  ingestorSubject,
  QUEUE_GROUPS,
  SUBJECTS,
  subjectLabel,
} from './subjects.ts';

// All other tests use the constants, so they would pass with any spelling.
test('the subjects are those of the contract with DEAs and controllers', () => {
  expect(SUBJECTS).toEqual({
    heartbeat: 'dea.heartbeat',
    shutdown: 'dea.shutdown',
    exited: 'droplet.exited',
    updated: 'droplet.updated',
    statusRequest: 'healthmanager.status',
    healthRequest: 'healthmanager.health',
    dropletRequest: 'healthmanager.droplet',
    discover: 'vcap.component.discover',
    announce: 'vcap.component.announce',
    healthmanagerStart: 'healthmanager.start',
    start: 'health.start',
    stop: 'health.stop',
  });
  expect(bulkCredentialsSubject('zone-2')).toBe('cloudcontroller.bulk.credentials.zone-2');
});

test('a subject with an id has the metric label `other`', () => {
  expect(subjectLabel('dea.heartbeat')).toBe('dea.heartbeat');
  expect(subjectLabel(ingestorSubject('3f0c'))).toBe('other');
});

test('the headers are those of the contract', () => {
  expect(HEADERS).toEqual({ messageId: 'Nats-Msg-Id', reason: 'hm-reason', decision: 'hm-decision' });
});

test('the queue groups are the same in every release, because processes of two releases share them during an upgrade', () => {
  expect(QUEUE_GROUPS).toEqual({ ingest: 'hm-ingest', reporter: 'hm-reporter' });
});
