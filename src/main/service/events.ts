/** What a WaitService emits, and what names a registration. */
import type { ServiceEvent } from './inbox/consumer.js';

/** One registration of one service; `id` is a safe integer that no other registration of it ever has. */
export interface Registration {
  readonly fd: number;
  readonly id: number;
}

/** The arguments of a WaitService's listeners. */
export interface WaitServiceEvents {
  /** Without a handler. */
  event: [event: ServiceEvent];
  /** What a handler gave to ready.post. */
  message: [value: unknown];
  error: [error: Error, event?: ServiceEvent];
}
