/** One life of one thread: from its start task to the end of its worker. What comes of it is told apart by this object. */
import type { MessagePort, Worker } from 'node:worker_threads';
import { now } from '../../../shared/clock.js';

/**
 * queued: no worker has its start task yet.
 * starting: a worker has; what it answers has not been seen. It may be in its loop, or dead, for long.
 * running: its answer was seen.
 * failed: it did not start, and its worker is being ended.
 * over: its worker has ended, or never came up.
 */
export type LifeState = 'queued' | 'starting' | 'running' | 'failed' | 'over';

export class Life {
  readonly startedAt = now();
  state: LifeState = 'queued';
  /** From 'starting' on. */
  worker: Worker | undefined;
  /** Why it ends, once something has told. */
  reason: Error | undefined;

  /** @param port where its thread's values come from; still holds what was sent when it is over */
  constructor(
    readonly index: number,
    readonly port: MessagePort,
  ) {}

  /** Whether it is neither running nor over. */
  get isUnsettled(): boolean {
    return this.state === 'queued' || this.state === 'starting' || this.state === 'failed';
  }
}
