import { expect, test } from 'vitest';
import { batched } from './batched.ts';

/** A batched function whose batches end when the test calls `endBatch`. */
function fixture(maxBatchSize = 100) {
  const batches: (readonly number[])[] = [];
  const ends: ((error?: Error) => void)[] = [];
  const request = batched<number, string>(async (numbers) => {
    batches.push(numbers);
    await new Promise<void>((resolve, reject) => {
      ends.push((error) => (error === undefined ? resolve() : reject(error)));
    });
    return numbers.map((n) => (n < 0 ? new Error(`no answer to ${n}`) : `answer to ${n}`));
  }, maxBatchSize);
  const endBatch = async (error?: Error) => {
    ends.shift()?.(error);
    await new Promise(setImmediate);
  };
  return { request, batches, endBatch };
}
const nextTurn = () => new Promise(setImmediate);

test('requests made at once share a batch, and each gets its own answer', async () => {
  const { request, batches, endBatch } = fixture();
  const answers = Promise.all([1, 2, 1].map(request));
  await nextTurn();
  await endBatch();
  expect(batches).toEqual([[1, 2, 1]]);
  expect(await answers).toEqual(['answer to 1', 'answer to 2', 'answer to 1']);
});

test('requests made during a batch wait for its end, and then share the next batch', async () => {
  const { request, batches, endBatch } = fixture();
  const answers = [request(1)];
  await nextTurn();
  answers.push(request(2));
  await nextTurn();
  answers.push(request(3));
  await nextTurn();
  expect(batches).toEqual([[1]]);
  await endBatch();
  expect(batches).toEqual([[1], [2, 3]]);
  await endBatch();
  expect(await Promise.all(answers)).toEqual(['answer to 1', 'answer to 2', 'answer to 3']);
});

test('a batch has at most maxBatchSize requests', async () => {
  const { request, batches, endBatch } = fixture(2);
  const answers = Promise.all([1, 2, 3].map(request));
  await nextTurn();
  await endBatch();
  await endBatch();
  expect(batches).toEqual([[1, 2], [3]]);
  expect(await answers).toHaveLength(3);
});

test('an Error answers its own request; a batch that fails rejects all its requests; the next batch runs', async () => {
  const { request, batches, endBatch } = fixture();
  const mixed = Promise.allSettled([1, -2].map(request));
  await nextTurn();
  await endBatch();
  expect(await mixed).toMatchObject([{ value: 'answer to 1' }, { reason: { message: 'no answer to -2' } }]);
  const failing = Promise.allSettled([3, 4].map(request));
  await nextTurn();
  const next = request(5);
  await endBatch(new Error('connection lost'));
  expect(await failing).toMatchObject([
    { reason: { message: 'connection lost' } },
    { reason: { message: 'connection lost' } },
  ]);
  await endBatch();
  expect(await next).toBe('answer to 5');
  expect(batches).toEqual([[1, -2], [3, 4], [5]]);
});
