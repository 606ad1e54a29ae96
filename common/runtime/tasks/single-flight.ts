export interface SingleFlight<T> {
  /** Runs the work, or joins the run in progress. */
  (): Promise<T>;
  /** Resolves when no run is in progress; never rejects. */
  idle(): Promise<void>;
}

/** At most one run of the work at a time: every call during a run gets the promise of that run. */
export function singleFlight<T>(work: () => T | Promise<T>): SingleFlight<T> {
  let current: Promise<T> | undefined;
  const run = () => {
    current ??= start(work).finally(() => {
      current = undefined;
    });
    return current;
  };
  const idle = async () => {
    while (current !== undefined) await Promise.allSettled([current]);
  };
  return Object.assign(run, { idle });
}

/** An error that is thrown at once becomes a rejection, too. */
async function start<T>(work: () => T | Promise<T>): Promise<T> {
  return work();
}
