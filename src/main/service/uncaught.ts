/** What a user's listener throws where the service must go on: it becomes an uncaught exception, but later. */
import { setImmediate } from 'node:timers';

/** Throws it from the event loop, when what called the listener has finished its work. */
export function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
