import { expect, test } from 'vitest';
import {
  bulkCredentialsSubject,
  HEADERS,
  ingestorSubject,
  ingestorsSubject,
  queueGroup,
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
    hm9000Start: 'hm9000.start',
    hm9000Stop: 'hm9000.stop',
    appState: 'app.state',
    appStateBulk: 'app.state.bulk',
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
  const deployment = { redisPrefix: 'hm', ccPartition: 'default' };
  expect(queueGroup(deployment, 'ingest', 3)).toBe('hm.hm.default.ingest.3');
  expect(queueGroup(deployment, 'reporter')).toBe('hm.hm.default.reporter');
  expect(ingestorsSubject(deployment)).toBe('healthmanager.ingestors.hm.default');
});

test('a queue group has no character that NATS forbids, and those of two deployments differ', () => {
  expect(queueGroup({ redisPrefix: 'a b.*>', ccPartition: 'é%' }, 'reporter')).toBe(
    'hm.a%20b%2E%2A%3E.%C3%A9%25.reporter',
  );
  expect(queueGroup({ redisPrefix: 'a.b', ccPartition: 'c' }, 'reporter')).not.toBe(
    queueGroup({ redisPrefix: 'a', ccPartition: 'b.c' }, 'reporter'),
  );
});
