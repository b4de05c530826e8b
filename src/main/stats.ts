/** What a service counts. */
import * as L from '../shared/layout.js';

export interface ThreadStats {
  readonly threadId: number;
  /** epoll_wait calls, and the events they returned. */
  readonly waits: number;
  readonly events: number;
  /** Handler runs (or events published to this thread, without a handler). */
  readonly handled: number;
  /** Events met while another thread held the same registration: handed over to it, never run beside it. */
  readonly contended: number;
  /** Events of a registration that was gone by then: dropped. */
  readonly stale: number;
  readonly errors: number;
  readonly busyMs: number;
}

export interface WaitServiceStats {
  readonly registrations: number;
  readonly controlCalls: number;
  readonly restarts: number;
  readonly threads: readonly ThreadStats[];
}

/** One thread's, since the service started; a replaced thread's go on where its predecessor's ended. */
export function readStats({ words, stats }: L.ThreadMemory): ThreadStats {
  return {
    threadId: words[L.THREAD_ID] ?? 0,
    waits: stats[L.WAITS] ?? 0,
    events: stats[L.EVENTS] ?? 0,
    handled: stats[L.HANDLED] ?? 0,
    contended: stats[L.CONTENDED_EVENTS] ?? 0,
    stale: stats[L.STALE_EVENTS] ?? 0,
    errors: stats[L.ERRORS] ?? 0,
    busyMs: stats[L.BUSY] ?? 0,
  };
}
