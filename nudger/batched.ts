import DataLoader from 'dataloader';

/**
 * Makes one call of many: what is asked for while a call is under way goes into the next one, so that none waits
 * longer than for the one before, and the busier it is the less each costs.
 *
 * @param ask answers in the order of the questions; an Error is the answer to its question only
 * @param atMost questions of one call
 */
export function batched<Question, Answer>(
  ask: (questions: readonly Question[]) => Promise<readonly (Answer | Error)[]>,
  atMost: number,
): (question: Question) => Promise<Answer> {
  let underWay: Promise<unknown> = Promise.resolve();
  const loader = new DataLoader<Question, Answer>(
    (questions) => {
      const answers = ask(questions);
      underWay = answers.catch(() => undefined); // whoever asked is told
      return answers;
    },
    {
      cache: false,
      maxBatchSize: atMost,
      batchScheduleFn: (call) => void underWay.then(() => process.nextTick(call)),
    },
  );
  return (question) => loader.load(question);
}
