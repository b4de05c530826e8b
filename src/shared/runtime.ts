/** Which runtime this is. Bun and Deno have Node's modules, and not all of what Node has beneath them. */
import { unavailable } from './errors.js';

const { bun, deno } = process.versions;

export const isDeno = deno !== undefined;

/**
 * Refuses what does not work on Bun: its event loop knows no fd of a kind that it has not made itself (libuv's poll
 * handles end the process, an epoll instance behind a socket is never looked at), and so no doorbell of another thread.
 *
 * @param what is asked for, and what to use instead
 * @throws Error ERR_FEATURE_UNAVAILABLE_ON_PLATFORM
 */
export function refuseOnBun(what: string): void {
  if (bun !== undefined) throw unavailable(`epoll-pool on Bun ${bun}: ${what}`);
}

/** Refuses what does not work on Deno: its sockets do not show their fds. */
export function refuseOnDeno(what: string): void {
  if (isDeno) throw unavailable(`epoll-pool on Deno ${deno}: ${what}`);
}
