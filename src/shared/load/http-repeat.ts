/** Servers under load say the same headers again and again: the last ones seen, so that comparing can replace reading. */
import * as s from './http-state.js';

/** Longer headers are not kept. */
const LONGEST = 2048;
/** After so many different headers in a row only every so many-th is looked at. */
const PATIENCE = 16;

/** Bytes of headers that were read in one go, and what they said. Equal bytes mean the same, so the outcome is the same. */
export class RepeatedHead {
  readonly #bytes = Buffer.alloc(LONGEST);
  #length = 0;
  #status = 0;
  #flags = 0;
  #left = 0;
  #misses = 0;

  /** If chunk[start, end) begins with the same headers, the state is that after reading them; returns their length or 0. */
  match(words: Float64Array, at: number, chunk: Uint8Array, start: number, end: number): number {
    const length = this.#length;
    if (length === 0 || end - start < length) return 0;
    if (this.#misses > PATIENCE && this.#misses++ % PATIENCE !== 0) return 0;
    if (this.#bytes.compare(chunk, start, start + length, 0, length) !== 0) {
      this.#misses++;
      return 0;
    }
    this.#misses = 0;
    words[at + s.STATUS] = this.#status;
    words[at + s.FLAGS] = this.#flags;
    words[at + s.LEFT] = this.#left;
    words[at + s.STATE] = s.S_HEAD_DONE;
    return length;
  }

  /** Keeps chunk[start, end), the whole headers of a response that `words` has just read. */
  keep(words: Float64Array, at: number, chunk: Uint8Array, start: number, end: number): void {
    if (end - start > LONGEST || (this.#misses > PATIENCE && this.#misses % PATIENCE !== 1)) return;
    this.#bytes.set(chunk.subarray(start, end));
    this.#length = end - start;
    this.#status = words[at + s.STATUS] ?? 0;
    this.#flags = words[at + s.FLAGS] ?? 0;
    this.#left = words[at + s.LEFT] ?? 0;
  }
}
