import type { Health } from '../../common/runtime/health.ts';

/** Whoever looks at a page does not wait longer. */
const WITHIN_MS = 5_000;

/** Redis does not answer in time. */
export class UnavailableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnavailableError';
  }
}

/** @throws UnavailableError at once where Redis is known to be away, else when it takes too long */
export async function withTimeout<T>(health: Health, read: () => Promise<T>): Promise<T> {
  const problem = health.problems().get('redis');
  if (problem !== undefined) throw new UnavailableError(`Redis: ${problem}`);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new UnavailableError(`Redis: no answer in ${WITHIN_MS} ms`)), WITHIN_MS);
  });
  try {
    return await Promise.race([read(), late]);
  } finally {
    clearTimeout(timer);
  }
}
