/** Frames HTTP responses like ResponseFramer, and keeps their bytes until they are whole. */
import type { Framer } from './framer.js';
import { COMPLETE, MORE, type Outcome, ResponseFramer } from './http-response.js';
import { BYTES } from './http-state.js';

export class CapturingFramer implements Framer {
  /** The complete response; undefined if it is too long to be kept. Valid until next() is called again. */
  response: Buffer | undefined;

  readonly #inner = new ResponseFramer();
  readonly #keep: (at: number) => Buffer;

  /** @param keep shared memory that belongs to the connection whose state begins at `at` */
  constructor(keep: (at: number) => Buffer) {
    this.#keep = keep;
  }

  get head(): boolean {
    return this.#inner.head;
  }

  set head(head: boolean) {
    this.#inner.head = head;
  }

  get status(): number {
    return this.#inner.status;
  }

  get bytes(): number {
    return this.#inner.bytes;
  }

  get close(): boolean {
    return this.#inner.close;
  }

  get offset(): number {
    return this.#inner.offset;
  }

  get problem(): string {
    return this.#inner.problem;
  }

  next(words: Float64Array, at: number, chunk: Buffer, start: number, end: number): Outcome {
    const had = words[at + BYTES] ?? 0;
    const outcome = this.#inner.next(words, at, chunk, start, end);
    if (outcome === COMPLETE) {
      const { bytes, offset } = this.#inner;
      if (had === 0) this.response = chunk.subarray(offset - bytes, offset);
      else this.#take(this.#keep(at), had, chunk, offset - (bytes - had), offset);
    } else if (outcome === MORE) {
      const has = words[at + BYTES] ?? 0;
      this.#put(this.#keep(at), had, chunk, end - (has - had), end);
    }
    return outcome;
  }

  isPartial(words: Float64Array, at: number): boolean {
    return this.#inner.isPartial(words, at);
  }

  end(words: Float64Array, at: number): Outcome {
    const had = words[at + BYTES] ?? 0;
    const outcome = this.#inner.end(words, at);
    if (outcome === COMPLETE) {
      const kept = this.#keep(at);
      this.response = had > kept.length ? undefined : kept.subarray(0, had);
    }
    return outcome;
  }

  #take(kept: Buffer, had: number, chunk: Buffer, from: number, to: number): void {
    this.#put(kept, had, chunk, from, to);
    const length = had + to - from;
    this.response = length > kept.length ? undefined : kept.subarray(0, length);
  }

  #put(kept: Buffer, had: number, chunk: Buffer, from: number, to: number): void {
    const room = Math.max(0, kept.length - had);
    if (room > 0 && to > from) kept.set(chunk.subarray(from, Math.min(to, from + room)), had);
  }
}
