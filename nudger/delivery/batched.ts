import DataLoader from 'dataloader';

/**
 * Gathers single requests into batches. Requests that arrive while a batch is in progress form the next one, so none
 * waits longer than for the batch before it, and the cost of each falls as the load rises.
 *
 * @param runBatch returns the answers in the order of the requests; an Error answers only its own request
 * @param maxBatchSize requests of one batch
 */
export function batched<Request, Answer>(
  runBatch: (requests: readonly Request[]) => Promise<readonly (Answer | Error)[]>,
  maxBatchSize: number,
): (request: Request) => Promise<Answer> {
  let inProgress: Promise<unknown> = Promise.resolve();
  const loader = new DataLoader<Request, Answer>(
    (requests) => {
      const answers = runBatch(requests);
      inProgress = answers.catch(() => undefined); // the loader rejects each request of the batch
      return answers;
    },
    {
      cache: false,
      maxBatchSize,
      batchScheduleFn: (dispatch) => void inProgress.then(() => process.nextTick(dispatch)),
    },
  );
  return (request) => loader.load(request);
}
