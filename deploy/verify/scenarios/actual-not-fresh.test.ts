import { afterEach, describe, expect, test } from 'vitest';
import { ingestorSubject } from '../../../common/messages/subjects.ts';
import { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;
afterEach(() => deployment.stop());

describe('actual_not_fresh', () => {
  test('after a first start, no start and no duplicate stop is sent before every DEA had droplet_lost to send a heartbeat', async () => {
    deployment = await Deployment.start();
    await deployment.desire('first', { instances: 2 });
    deployment.dea('dea-1').run('first', 0);
    await deployment.desire('twice', {});
    const copies = ['dea-1', 'dea-2'].map((dea) => deployment.dea(dea).run('twice', 0));
    await deployment.advance(29);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(12);
    expect(deployment.takeSent()).toEqual([
      'start first/1 (missing)',
      `stop ${copies[1]} of twice (duplicate)`,
    ]);
  });

  test('it ends without any heartbeat: the apps of an empty cloud are started', async () => {
    deployment = await Deployment.start();
    await deployment.desire('only', {});
    await deployment.advance(35);
    expect(deployment.takeSent()).toEqual(['start only/0 (missing)']);
  });

  test('after a NATS outage nothing is missing before droplet_lost has passed again', async () => {
    deployment = await startCloud();
    await healthyApp(deployment, 'safe', 3);
    await deployment.advance(40);
    await deployment.killNats();
    await deployment.advance(60);
    await deployment.restartNats();
    await deployment.tick();
    expect(deployment.takeSent()).toEqual([]);
    // All instances but one are reported again. That one is started, but not before droplet_lost has passed.
    deployment.dea('dea-3').die();
    await deployment.advance(29);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(7);
    expect(deployment.takeSent()).toEqual(['start safe/2 (missing)']);
  });

  test('after a NATS outage the replacement of an EVACUATING instance is not missing, though its DEA reports later', async () => {
    deployment = await startCloud();
    const [leaving] = await healthyApp(deployment, 'moved', 1);
    await deployment.advance(40);
    await endInstance(deployment, leaving, 'DEA_EVACUATION');
    expect(deployment.takeSent()).toEqual(['start moved/0 (evacuated)']);
    const dea = deployment.dea('dea-2');
    dea.run('moved', 0);
    await deployment.quiescence.pause('stops'); // the evacuated instance stops slowly
    await deployment.advance(20);
    await deployment.killNats();
    await deployment.advance(40);
    dea.connected = false;
    await deployment.restartNats();
    await deployment.heartbeat(); // the ingestor is back before the DEA, whose answer to its request is missing
    expect(deployment.takeSent()).toEqual([]);
    // Its silence did not grow in the outage, so it is not even held.
    expect((await deployment.decisions('moved')).filter(({ kind }) => kind === 'held')).toEqual([]);
    dea.die();
    await deployment.advance(36);
    expect(deployment.takeSent()).toEqual(['start moved/0 (evacuated)']);
  });

  test('an outage of all ingestors raises it, but a short restart does not', async () => {
    deployment = await startCloud();
    await healthyApp(deployment, 'steady', 3);
    const dea = deployment.dea('dea-3');
    dea.die();
    await deployment.processes.stop('ingest');
    await deployment.advance(5);
    await deployment.processes.start('ingest');
    await deployment.advance(31); // the stopped ingestor may have lost a heartbeat of this DEA
    expect(deployment.takeSent()).toEqual(['start steady/2 (missing)']);

    await deployment.processes.stop('ingest');
    await deployment.advance(60);
    await deployment.processes.start('ingest');
    await deployment.heartbeat();
    await deployment.advance(28);
    expect(deployment.takeSent()).toEqual([]); // not even a repeated start
    await deployment.advance(10);
    expect(deployment.takeSent()).toEqual(['start steady/2 (missing)']);
  });

  test('a stall of every ingestor raises it', async () => {
    deployment = await startCloud();
    await healthyApp(deployment, 'stalled', 2);
    deployment.clock.advance(35_000);
    await deployment.tick();
    deployment.dea('dea-2').die();
    await deployment.advance(28);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(10);
    expect(deployment.takeSent()).toEqual(['start stalled/1 (missing)']);
  });

  test('a DEA is not lost while a stalled ingestor may hold its heartbeat', async () => {
    deployment = await startCloud();
    const { client, keys } = deployment.observer;
    await healthyApp(deployment, 'late', 3);
    // NATS delivers a share of the heartbeats to each ingestor; what the stalled one has received is unknown.
    deployment.bus.subscribe(ingestorSubject('stalled'), {}, (message) => message.respond());
    const publishWatermark = () => client.zadd(keys.watermarks, deployment.clock.nowMs(), 'stalled');
    await publishWatermark();
    deployment.dea('dea-3').connected = false;
    for (let seconds = 0; seconds < 25; seconds += 5) {
      await deployment.advance(5);
      await publishWatermark();
    }
    await deployment.advance(9);
    expect(deployment.takeSent()).toEqual([]);
    deployment.dea('dea-3').connected = true;
    await deployment.heartbeat();
    await publishWatermark();
    await deployment.advance(30);
    expect(deployment.takeSent()).toEqual([]);
  });

  test('a DEA that is cut off just after its heartbeat was lost is lost droplet_lost after that heartbeat', async () => {
    deployment = await startCloud();
    await healthyApp(deployment, 'late', 3);
    await deployment.advance(40);
    const dea = deployment.dea('dea-3');
    await deployment.heartbeat();
    await deployment.advance(6);
    await deployment.processes.stop('ingest');
    dea.sendHeartbeat();
    dea.connected = false;
    await deployment.processes.start('ingest');
    await deployment.advance(29);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(8);
    expect(deployment.takeSent()).toEqual(['start late/2 (missing)']);
  });

  test('after Redis lost all its data no healthy instance is harmed, and the state is rebuilt', async () => {
    deployment = await startCloud();
    await healthyApp(deployment, 'kept', 3);
    await deployment.advance(20);
    await deployment.emptyRedis();
    await deployment.tick();
    await deployment.advance(65);
    expect(deployment.takeSent()).toEqual([]);
    await endInstance(deployment, deployment.dea('dea-1').guidsOf('kept')[0], 'CRASHED');
    deployment.dea('dea-2').forget(deployment.dea('dea-2').guidsOf('kept')[0] as string);
    await deployment.advance(41);
    expect(deployment.takeSent()).toEqual([
      'start kept/0 (crashed)',
      'start kept/0 (missing)',
      'start kept/1 (missing)',
    ]);
  });

  test('a crash or an evacuation causes a start in spite of it', async () => {
    deployment = await Deployment.start();
    const [first, second] = await healthyApp(deployment, 'urgent', 2);
    await endInstance(deployment, first, 'CRASHED');
    await endInstance(deployment, second, 'DEA_SHUTDOWN');
    expect(deployment.takeSent()).toEqual(['start urgent/0 (crashed)', 'start urgent/1 (evacuated)']);
  });
});
