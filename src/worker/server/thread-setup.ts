/** What the main thread gives a server's threads, and what a thread has at hand. */
import type { ServerPlan } from '../../shared/server/layout.js';

/** The handlerData of a server's service. */
export interface ServerTask {
  readonly plan: ServerPlan;
  /** The user's module, for import(). */
  readonly module: string;
  readonly handlerData: unknown;
  readonly maxMessage: number;
  readonly highWaterMark: number;
  readonly maxOutput: number;
  /** In ticks; 0: never. */
  readonly idleTicks: number;
  readonly tls: boolean;
  /** Most promises that are pending in a thread. */
  readonly concurrency: number;
  /** What the main thread is woken by. */
  readonly bell: number;
}

/** What a thread posts: of which connection, and what. */
export type Post =
  | { readonly id: number; readonly thread: number; readonly value: unknown }
  /** What a handler threw, packed. */
  | { readonly id: number; readonly thread: number; readonly error: unknown };

/** Has a connection run once more, soon, on any thread; several before that run are one. */
export type WakeThread = (slot: number) => void;
