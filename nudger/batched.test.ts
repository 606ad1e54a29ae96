import { expect, test } from 'vitest';
import { batched } from './batched.ts';

/** Asks that the test lets end. */
function asking(atMost = 100) {
  const asked: (readonly number[])[] = [];
  const ends: ((error?: Error) => void)[] = [];
  const ask = batched<number, string>(async (numbers) => {
    asked.push(numbers);
    await new Promise<void>((resolve, reject) => {
      ends.push((error) => (error === undefined ? resolve() : reject(error)));
    });
    return numbers.map((n) => (n < 0 ? new Error(`no answer to ${n}`) : `answer to ${n}`));
  }, atMost);
  const end = async (error?: Error) => {
    ends.shift()?.(error);
    await new Promise(setImmediate);
  };
  return { ask, asked, end };
}
const aMoment = () => new Promise(setImmediate);

test('what is asked at once is one call, and each gets its own answer', async () => {
  const { ask, asked, end } = asking();
  const answers = Promise.all([1, 2, 1].map(ask));
  await aMoment();
  await end();
  expect(asked).toEqual([[1, 2, 1]]);
  expect(await answers).toEqual(['answer to 1', 'answer to 2', 'answer to 1']);
});

test('what is asked while a call is under way waits for it, and is one call then', async () => {
  const { ask, asked, end } = asking();
  const answers = [ask(1)];
  await aMoment();
  answers.push(ask(2));
  await aMoment();
  answers.push(ask(3));
  await aMoment();
  expect(asked).toEqual([[1]]);
  await end();
  expect(asked).toEqual([[1], [2, 3]]);
  await end();
  expect(await Promise.all(answers)).toEqual(['answer to 1', 'answer to 2', 'answer to 3']);
});

test('a call has its limit', async () => {
  const { ask, asked, end } = asking(2);
  const answers = Promise.all([1, 2, 3].map(ask));
  await aMoment();
  await end();
  await end();
  expect(asked).toEqual([[1, 2], [3]]);
  expect(await answers).toHaveLength(3);
});

test('an error is the answer to its own question, or to all of a call that fails; the next call is made', async () => {
  const { ask, asked, end } = asking();
  const own = Promise.allSettled([1, -2].map(ask));
  await aMoment();
  await end();
  expect(await own).toMatchObject([{ value: 'answer to 1' }, { reason: { message: 'no answer to -2' } }]);
  const all = Promise.allSettled([3, 4].map(ask));
  await aMoment();
  const next = ask(5);
  await end(new Error('away'));
  expect(await all).toMatchObject([{ reason: { message: 'away' } }, { reason: { message: 'away' } }]);
  await end();
  expect(await next).toBe('answer to 5');
  expect(asked).toEqual([[1, -2], [3, 4], [5]]);
});
