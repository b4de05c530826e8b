/**
 * What a service counts. The fields stand in shared/service/layout.ts; threads count in worker/service/wait-loop.ts and runner.ts,
 * and what the main thread does in their place in inbox/stand-in.ts.
 */
import * as L from '../../shared/service/layout.js';

export interface ThreadStats {
  readonly threadId: number;
  /** epoll_wait calls, and the events they returned. */
  readonly waits: number;
  readonly events: number;
  /**
   * Handler runs (or events published to this thread, without a handler), each counted within moments after its end: what a
   * run has posted, or the event itself, may be seen before.
   */
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

/**
 * One thread's, since the service started; a replaced thread's go on where its predecessor's ended.
 *
 * @param beside what the main thread has done in its place
 */
export function readStats({ words, stats }: L.ThreadMemory, beside?: Float64Array): ThreadStats {
  const sum = (field: number): number => (stats[field] ?? 0) + (beside?.[field] ?? 0);
  return {
    threadId: words[L.THREAD_ID] ?? 0,
    waits: sum(L.WAITS),
    events: sum(L.EVENTS),
    handled: sum(L.HANDLED),
    contended: sum(L.CONTENDED_EVENTS),
    stale: sum(L.STALE_EVENTS),
    errors: sum(L.ERRORS),
    busyMs: sum(L.BUSY),
  };
}
