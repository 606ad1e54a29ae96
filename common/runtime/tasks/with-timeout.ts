export interface Timeout<T> {
  timeoutMs: number;
  /** The time counts from the abort of this signal; without it, from the call. */
  countFrom?: AbortSignal;
  /** Gives the result when the time is over, or throws. */
  onTimeout(): T;
}

/**
 * Waits for work, but not longer than `timeoutMs`. The work itself goes on after that; its result is ignored.
 *
 * @returns the result of the work, or that of `onTimeout`
 */
export async function withTimeout<T, L = never>(
  work: T | Promise<T>,
  { timeoutMs, countFrom, onTimeout }: Timeout<L>,
): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  let begin = () => {};
  const late = new Promise<L>((resolve, reject) => {
    begin = () => {
      timer = setTimeout(() => {
        try {
          resolve(onTimeout());
        } catch (error) {
          reject(error);
        }
      }, timeoutMs);
    };
  });
  if (countFrom === undefined || countFrom.aborted) begin();
  else countFrom.addEventListener('abort', begin, { once: true });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    countFrom?.removeEventListener('abort', begin);
  }
}
