/** What a WaitService emits. */
import type { ServiceEvent } from './inbox/service-event.js';

/** The arguments of a WaitService's listeners. */
export interface WaitServiceEvents {
  /** Without a handler. */
  event: [event: ServiceEvent];
  /** What a handler gave to ready.post. */
  message: [value: unknown];
  error: [error: Error, event?: ServiceEvent];
}
