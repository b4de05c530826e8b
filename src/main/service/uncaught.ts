/** What a listener throws where something must go on. */
import { setImmediate } from 'node:timers';

/** Makes it an uncaught exception, once what is under way is done. */
export function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
