import { expect, test } from 'vitest';
import { isId } from '../../common/messages/validation.ts';
import { PLACEHOLDER_TIMES } from './time-placeholders.ts';

test('no id of an app or a DEA is taken for the placeholder of a time: it would have a control character', () => {
  const placeholder = PLACEHOLDER_TIMES.at(1_398_000_000_000);
  const [mark] = placeholder.replace(/\d+/, '');
  for (const id of [placeholder, `dea-${mark}`, `${mark}1e99${mark}`]) expect(isId(id)).toBe(false);
  expect(isId(placeholder.replaceAll(mark as string, ''))).toBe(true);
});
