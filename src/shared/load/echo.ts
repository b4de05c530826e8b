/** The protocol of tcp:// without a module: as many bytes come back as were sent. */
import type { Framer } from './framer.js';
import { COMPLETE, FAILED, MORE, type Outcome } from './http-response.js';

/** How many bytes of the response have come. */
const BYTES = 0;

export class EchoFramer implements Framer {
  head = false;
  readonly status = 0;
  readonly close = false;
  readonly problem = 'truncated';
  readonly bytes: number;
  offset = 0;

  /** @param length of each response */
  constructor(length: number) {
    this.bytes = length;
  }

  next(words: Float64Array, at: number, _chunk: Uint8Array, start: number, end: number): Outcome {
    const left = this.bytes - (words[at + BYTES] ?? 0);
    if (left > end - start) {
      words[at + BYTES] = this.bytes - left + end - start;
      return MORE;
    }
    words[at + BYTES] = 0;
    this.offset = start + left;
    return COMPLETE;
  }

  isPartial(words: Float64Array, at: number): boolean {
    return words[at + BYTES] !== 0;
  }

  end(words: Float64Array, at: number): Outcome {
    return words[at + BYTES] === 0 ? MORE : FAILED;
  }
}
