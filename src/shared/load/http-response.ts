/** Finds where HTTP/1.x responses end (RFC 9112) in a stream that comes in chunks, wherever it was cut. */

import { CR, LF } from '../http/grammar.js';
import { readChunkLines } from './http-chunk.js';
import { readHead } from './http-head.js';
import { RepeatedHead } from './http-repeat.js';
import * as s from './http-state.js';

export type { ProtocolProblem } from './http-state.js';

/** The chunk is used up. */
export const MORE = 0;
/** A response is complete: `status`, `bytes`, `close` and `offset` say the rest. */
export const COMPLETE = 1;
/** This is no HTTP/1.x: `problem` says why. The connection cannot be used any more. */
export const FAILED = 2;
export type Outcome = typeof MORE | typeof COMPLETE | typeof FAILED;

export interface ResponseFramerOptions {
  /** Whether the responses answer HEAD, and so have no body; default false. */
  readonly head?: boolean;
  /** Most bytes of one response's headers, 1xx responses before it included; default 65,536. */
  readonly maxHeaderBytes?: number;
}

/**
 * One per thread; what belongs to a connection lies in `words`, so that any thread's framer can go on with it. Keeps no
 * bytes and allocates nothing.
 *
 *     let outcome: Outcome;
 *     for (let at = 0; (outcome = framer.next(words, 0, chunk, at, n)) === COMPLETE; at = framer.offset) count(framer.status);
 */
export class ResponseFramer {
  /** Doubles of state that each connection needs; all 0 is a fresh one. */
  static readonly WORDS = s.STATE_WORDS;

  /** Whether the responses that come now answer HEAD, and so have no body. */
  head: boolean;
  /** Of the complete response: its status code. */
  status = 0;
  /** Its bytes as they came: headers, chunk framing and 1xx responses before it included. */
  bytes = 0;
  /** Whether the connection cannot be used after it. */
  close = false;
  /** Where in the chunk the next response begins. */
  offset = 0;
  /** What is wrong, once FAILED. */
  problem: s.ProtocolProblem = 'version';

  readonly #maxHeader: number;
  readonly #repeated = new RepeatedHead();

  constructor(options: ResponseFramerOptions = {}) {
    this.head = options.head ?? false;
    this.#maxHeader = options.maxHeaderBytes ?? 65_536;
  }

  /** Makes the state that of a fresh connection. */
  static reset(words: Float64Array, at: number): void {
    words.fill(0, at, at + s.STATE_WORDS);
  }

  /** Whether a part of a response has come. */
  static partial(words: Float64Array, at: number): boolean {
    return words[at + s.BYTES] !== 0;
  }

  /**
   * Reads on in chunk[start, end) to the end of a response. COMPLETE: call again from `offset` on, unless `close`. MORE: call
   * again with the next chunk, or end(). FAILED: reset() before the state is used again.
   *
   * @param words the connections' states; this one's begins at `at`
   */
  next(words: Float64Array, at: number, chunk: Uint8Array, start: number, end: number): Outcome {
    let i = start | 0; // small integers, known as such: it doubles the speed
    let from = i;
    while (i < end) {
      const state = (words[at + s.STATE] ?? 0) | 0;
      if (state < s.S_CHUNK) {
        // Empty lines before a status line are nothing: some servers send one too many behind a body.
        if (
          state === s.S_STATUS_LINE &&
          i === from &&
          ((chunk[i] ?? 0) === CR || (chunk[i] ?? 0) === LF) &&
          fresh(words, at)
        ) {
          from = ++i;
          continue;
        }
        const header = words[at + s.HEADER] ?? 0;
        const stop = Math.min(end, i + this.#maxHeader - header) | 0;
        const next = this.#lines(words, at, chunk, i, stop, state);
        if (next < 0) return this.#fail(s.PROBLEMS[-next] ?? 'header');
        words[at + s.HEADER] = header + next - i;
        i = next;
        const after = words[at + s.STATE] ?? 0;
        if (after === s.S_HEAD_DONE) {
          const outcome = this.#body(words, at);
          if (outcome !== MORE) return outcome === COMPLETE ? this.#complete(words, at, from, i) : outcome;
        } else if (after === s.S_CHUNK) {
          words[at + s.HEADER] = 0; // each chunk's line has the limit for itself
        } else if (i === stop && stop < end) {
          return this.#fail('header-size');
        }
      } else {
        const left = state === s.S_UNTIL_CLOSE ? Number.POSITIVE_INFINITY : (words[at + s.LEFT] ?? 0);
        if (left > end - i) {
          words[at + s.LEFT] = left - (end - i);
          break;
        }
        i = (i + left) | 0;
        if (state === s.S_BODY) return this.#complete(words, at, from, i);
        words[at + s.STATE] = s.S_CHUNK_END;
      }
    }
    words[at + s.BYTES] = (words[at + s.BYTES] ?? 0) + end - from;
    return MORE;
  }

  isPartial(words: Float64Array, at: number): boolean {
    return ResponseFramer.partial(words, at);
  }

  /**
   * The connection has ended. COMPLETE: with it, a response whose body had no other end. MORE: between two responses. FAILED: in
   * the middle of one.
   */
  end(words: Float64Array, at: number): Outcome {
    if (!ResponseFramer.partial(words, at)) return MORE;
    if (words[at + s.STATE] !== s.S_UNTIL_CLOSE) return this.#fail('truncated');
    return this.#complete(words, at, 0, 0);
  }

  #lines(words: Float64Array, at: number, chunk: Uint8Array, start: number, stop: number, state: number): number {
    if (state > s.S_HEAD_DONE) return readChunkLines(words, at, chunk, start, stop);
    const fresh = state === s.S_STATUS_LINE && words[at + s.MATCHED] === 0;
    if (!fresh) return readHead(words, at, chunk, start, stop);
    const length = this.#repeated.match(words, at, chunk, start, stop);
    if (length > 0) return start + length;
    const next = readHead(words, at, chunk, start, stop);
    if (next > 0 && words[at + s.STATE] === s.S_HEAD_DONE) this.#repeated.keep(words, at, chunk, start, next);
    return next;
  }

  /** After the empty line: what follows (RFC 9112, 6.3). COMPLETE: nothing. */
  #body(words: Float64Array, at: number): Outcome {
    const flags = words[at + s.FLAGS] ?? 0;
    const status = words[at + s.STATUS] ?? 0;
    if ((flags & s.F_TRAILER) !== 0) return COMPLETE;
    if (status < 200) {
      if (status === 101) return this.#fail('upgrade');
      // The headers go on counting towards the limit: 1xx responses without end are headers without end.
      words[at + s.STATE] = s.S_STATUS_LINE;
      words[at + s.STATUS] = 0;
      words[at + s.FLAGS] = 0;
      words[at + s.MATCHED] = 0;
      return MORE;
    }
    if (this.head || status === 204 || status === 304) return COMPLETE;
    if ((flags & s.F_CHUNKED) !== 0) {
      words[at + s.STATE] = s.S_CHUNK_START;
      words[at + s.HEADER] = 0;
    } else if ((flags & (s.F_TRANSFER | s.F_LENGTH)) === s.F_LENGTH) {
      if (words[at + s.LEFT] === 0) return COMPLETE;
      words[at + s.STATE] = s.S_BODY;
    } else {
      words[at + s.STATE] = s.S_UNTIL_CLOSE;
    }
    return MORE;
  }

  #complete(words: Float64Array, at: number, start: number, offset: number): Outcome {
    const flags = words[at + s.FLAGS] ?? 0;
    this.status = words[at + s.STATUS] ?? 0;
    this.bytes = (words[at + s.BYTES] ?? 0) + offset - start;
    // HTTP/1.0 closes unless it says otherwise, and whenever it claims to be chunked, which it cannot be.
    const stays = (flags & s.F_HTTP10) === 0 || (flags & (s.F_KEEP_ALIVE | s.F_TRANSFER)) === s.F_KEEP_ALIVE;
    this.close = !stays || (flags & s.F_CLOSE) !== 0 || words[at + s.STATE] === s.S_UNTIL_CLOSE;
    this.offset = offset;
    ResponseFramer.reset(words, at);
    return COMPLETE;
  }

  #fail(problem: s.ProtocolProblem): Outcome {
    this.problem = problem;
    return FAILED;
  }
}

/** Whether nothing of a response has come. */
function fresh(words: Float64Array, at: number): boolean {
  return words[at + s.BYTES] === 0 && words[at + s.MATCHED] === 0;
}
