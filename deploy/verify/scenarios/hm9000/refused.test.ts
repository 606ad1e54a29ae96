/** A controller that refuses a start or stop over HTTP: its words are kept, and what it refuses is asked for again. */
import { afterEach, expect, test } from 'vitest';
import { metricValue } from '../../../../common/testing/context.ts';
import { startReporter } from '../../../../reporter/main.ts';
import { STATUS } from '../../fixtures/reporter.ts';
import type { Deployment } from '../deployment.ts';
import { endInstance, healthyApp, startCloud } from '../fixtures.ts';

let deployment: Deployment;
afterEach(() => deployment.stop());

/** The lines of `hm explain`, as the reporter serves them. */
async function storyOf(droplet: string): Promise<string[]> {
  const context = await deployment.newContext();
  const { port } = await startReporter(context);
  const authorization = `Basic ${Buffer.from(`${STATUS.user}:${STATUS.password}`).toString('base64')}`;
  const reply = await fetch(`http://127.0.0.1:${port}/api/stories/${droplet}`, {
    headers: { authorization },
  });
  const { story } = (await reply.json()) as { story: { text: string }[] };
  await context.lifecycle.stop();
  return story.map(({ text }) => text);
}

test('a refused start is in the decision log, the explanation, the log and the metrics, and is asked for again', async () => {
  deployment = await startCloud({ settings: { dialect: 'hm9000-http', status: STATUS } });
  const [guid] = await healthyApp(deployment, 'web', 1);
  // The controller has stopped the app, and the health manager does not know it yet.
  await deployment.desire('web', { state: 'STOPPED' }, { announce: false });
  await endInstance(deployment, guid, 'CRASHED');
  expect(deployment.takeSent()).toEqual(['start web/0 (crashed)']);
  const why = 'status 400: not started';
  const entries = (await deployment.decisions('web')).filter(({ kind }) => kind === 'refused');
  expect(entries).toMatchObject([{ index: 0, reason: 'crashed', why }]);
  const [decided] = (await deployment.decisions('web')).filter(({ kind }) => kind === 'start');
  expect(entries[0]?.id).toBe(decided?.id);
  expect(await storyOf('web')).toContainEqual(`index 0: start refused by the controller: ${why}`);
  const nudger = deployment.processes.find('nudger');
  const refused = { outcome: 'refused', kind: 'start', reason: 'crashed' };
  expect(await metricValue(nudger!.context.metrics, 'hm_decision_outcomes_total', refused)).toBe(1);
  expect(deployment.logged('delivery_refused')).toMatchObject([{ why }]);

  // It counts as a start that did not help: not at once, and only while it is right.
  await deployment.advance(29);
  expect(deployment.takeSent()).toEqual([]);
  await deployment.advance(3);
  expect(deployment.takeSent()).toEqual(['start web/0 (missing)']);
  await deployment.advance(90); // a bulk pass tells of the change
  expect(deployment.takeSent()).toEqual([]);
  expect(deployment.takeViolations()).toEqual([
    expect.stringContaining('the controller refuses it: not started'),
    expect.stringContaining('the controller refuses it: not started'),
  ]);
});

test('a refused stop is in the decision log with the words of the controller, and is sent again while it is right', async () => {
  deployment = await startCloud({ settings: { dialect: 'hm9000-http', status: STATUS } });
  const [, second] = await healthyApp(deployment, 'web', 2);
  await deployment.quiescence.pause('stops');
  await deployment.desire('web', { instances: 1 });
  // The controller wants both again, before the stop reaches it.
  await deployment.desire('web', { instances: 2 }, { announce: false });
  await deployment.quiescence.resume('stops');
  await deployment.settle();
  expect(deployment.takeSent()).toEqual([`stop ${second} of web (extra_index)`]);
  const entries = (await deployment.decisions('web')).filter(({ kind }) => kind === 'refused');
  expect(entries).toMatchObject([{ reason: 'extra_index', why: 'status 400: the index is wanted' }]);
  // As any stop after which the instance is still there, it is sent again.
  await deployment.advance(32);
  expect(deployment.takeSent()).toEqual([`stop ${second} of web (extra_index)`]);
  await deployment.advance(60); // a bulk pass tells of the change
  expect(deployment.takeSent()).toEqual([]);
  const refused = expect.stringContaining('the controller refuses it: the index is wanted');
  expect(deployment.takeViolations()).toEqual([refused, refused]);
});
