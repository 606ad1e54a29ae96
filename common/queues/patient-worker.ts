import { setTimeout as delay } from 'node:timers/promises';
import { type Job, Worker } from 'bullmq';

/** Between two tries to fetch a job (ms): short beside what `/readyz` and an operator need to notice, and no load for Redis. */
const FETCH_RETRY_MS = 1_000;

/**
 * A worker that waits after a job could not be fetched. BullMQ waits only after a lost connection: while Redis is full or read-only
 * and a job is there, its worker would ask as fast as Redis answers.
 */
export class PatientWorker extends Worker {
  protected override async moveToActive(token: string, name?: string): Promise<Job> {
    try {
      return await super.moveToActive(token, name);
    } catch (error) {
      if (this.closing === undefined) await delay(FETCH_RETRY_MS);
      throw error;
    }
  }
}
