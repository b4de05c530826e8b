/** What finds the ends of responses: HTTP's (http-response.ts), as many bytes as were sent, or a module's own. */
import type { Outcome } from './http-response.js';

/** One per thread; what belongs to a connection lies in `words` from `at` on, and is all 0 for a fresh one. */
export interface Framer {
  /** Whether the response answers HEAD, and so has no body. */
  head: boolean;
  /** Of the complete response: 0 where there are none. */
  readonly status: number;
  readonly bytes: number;
  /** Whether the connection cannot be used after it. */
  readonly close: boolean;
  /** Where in the chunk the next response begins. */
  readonly offset: number;
  /** What is wrong, once FAILED. */
  readonly problem: string;
  /** Reads on in chunk[start, end) to the end of a response. */
  next(words: Float64Array, at: number, chunk: Buffer, start: number, end: number): Outcome;
  /** Whether a part of a response has come. */
  isPartial(words: Float64Array, at: number): boolean;
  /** The connection has ended. */
  end(words: Float64Array, at: number): Outcome;
}
