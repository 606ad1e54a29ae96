import { expect, it, test } from 'vitest';
import { hm9000Start, hm9000Stop } from './hm9000.ts';

it('a start names one index, and its id is that of the decision', () => {
  const start = { droplet: 'd', updatedAtS: 1, version: 'v', index: 2, running: [], flapping: true };
  expect(hm9000Start(start, 'app.2.7')).toBe(
    '{"message_id":"app.2.7","droplet":"d","version":"v","instance_index":2}',
  );
});

test.each([
  ['duplicate', true],
  ['evacuation_complete', true],
  ['extra_index', false],
  ['extra_app', false],
  ['wrong_version', false],
  ['stopped', false],
] as const)('a stop for the reason %s has is_duplicate %s', (reason, isDuplicate) => {
  const stop = {
    ...{ droplet: 'd', updatedAtS: 1, version: 'v2', running: [], index: 3 },
    instances: [['i', 'v1']] as const,
  };
  expect(hm9000Stop(stop, reason, 'id')).toBe(
    `{"message_id":"id","droplet":"d","version":"v1","instance_guid":"i","instance_index":3,"is_duplicate":${isDuplicate}}`,
  );
});
