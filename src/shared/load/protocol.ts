/** Protocols of a user's own, for tcp://: what their module exports, and how their responses are framed. */
import { invalidType, messageOf } from '../errors.js';
import type { Framer } from './framer.js';
import { COMPLETE, FAILED, MORE, type Outcome } from './http-response.js';

/** What the module of `protocol` exports; it is loaded by each thread, and its connections may move between threads. */
export interface LoadProtocol {
  /** The bytes of the next request, at most 65,536; they are used before it is called again. Default: the body. */
  request?(): Uint8Array;
  /**
   * How many bytes the response has that `bytes` begins with; 0 if more must come to know (at most 65,536). It may be more
   * than there are yet. What it throws is a protocol error. `bytes` is valid until it returns.
   */
  response(bytes: Uint8Array): number;
}

/** Bytes of a partly known response, or of a partly sent request, that a connection keeps. */
export const KEPT_BYTES = 65_536;

// The words of a connection's state.
const KEPT = 0;
/** Bytes still to come of a response whose length is known; 0: not known. */
const LEFT = 1;
const TOTAL = 2;

/** @throws TypeError ERR_INVALID_ARG_TYPE */
export function asProtocol(module: unknown): LoadProtocol {
  const inner = typeof module === 'object' && module !== null ? module : {};
  const fallback: unknown = Reflect.get(inner, 'default');
  const holder = typeof fallback === 'object' && fallback !== null && 'response' in fallback ? fallback : inner;
  if (!isProtocol(holder)) {
    throw invalidType(
      'protocol',
      'a module that exports response(bytes), and request() unless there is a body',
      holder,
    );
  }
  return holder;
}

function isProtocol(value: object): value is LoadProtocol {
  const request: unknown = Reflect.get(value, 'request');
  return (
    typeof Reflect.get(value, 'response') === 'function' && (request === undefined || typeof request === 'function')
  );
}

export class ModuleFramer implements Framer {
  head = false;
  readonly status = 0;
  readonly close = false;
  bytes = 0;
  offset = 0;
  problem = '';

  readonly #protocol: LoadProtocol;
  readonly #keep: (at: number) => Uint8Array;

  /** @param keep KEPT_BYTES of shared memory that belong to the connection whose state begins at `at` */
  constructor(protocol: LoadProtocol, keep: (at: number) => Uint8Array) {
    this.#protocol = protocol;
    this.#keep = keep;
  }

  next(words: Float64Array, at: number, chunk: Uint8Array, start: number, end: number): Outcome {
    if (start === end) return MORE;
    const left = words[at + LEFT] ?? 0;
    if (left > 0) return this.#skip(words, at, left, start, end);
    const kept = words[at + KEPT] ?? 0;
    if (kept === 0) return this.#measure(words, at, chunk.subarray(start, end), 0, chunk, start, end);
    const store = this.#keep(at);
    const more = Math.min(end - start, KEPT_BYTES - kept);
    store.set(chunk.subarray(start, start + more), kept);
    return this.#measure(words, at, store.subarray(0, kept + more), kept, chunk, start, end);
  }

  /** @param seen all that has come of the response, of which the first `kept` bytes came before this chunk */
  #measure(
    words: Float64Array,
    at: number,
    seen: Uint8Array,
    kept: number,
    chunk: Uint8Array,
    start: number,
    end: number,
  ): Outcome {
    let length: unknown;
    try {
      length = this.#protocol.response(seen);
    } catch (error) {
      return this.#fail(messageOf(error));
    }
    if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0) {
      return this.#fail(`response() returned ${String(length)}`);
    }
    if (length === 0) {
      if (seen.length >= KEPT_BYTES) return this.#fail(`response() knew no length after ${KEPT_BYTES} bytes`);
      if (kept === 0) this.#keep(at).set(chunk.subarray(start, end));
      words[at + KEPT] = seen.length;
      return MORE;
    }
    if (length <= kept) return this.#fail(`response() returned ${length} after it had said 0`);
    words[at + KEPT] = 0;
    words[at + TOTAL] = length;
    return this.#skip(words, at, length - kept, start, end);
  }

  #skip(words: Float64Array, at: number, left: number, start: number, end: number): Outcome {
    if (left > end - start) {
      words[at + LEFT] = left - (end - start);
      return MORE;
    }
    words[at + LEFT] = 0;
    this.bytes = words[at + TOTAL] ?? 0;
    this.offset = start + left;
    return COMPLETE;
  }

  isPartial(words: Float64Array, at: number): boolean {
    return words[at + KEPT] !== 0 || words[at + LEFT] !== 0;
  }

  end(words: Float64Array, at: number): Outcome {
    return this.isPartial(words, at) ? this.#fail('truncated') : MORE;
  }

  #fail(problem: string): Outcome {
    this.problem = problem;
    return FAILED;
  }
}
