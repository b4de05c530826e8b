/** Finds the end of a chunked body (RFC 9112, 7.1), which may come in any pieces, and puts its chunks together. */
import * as g from '../../../shared/http/grammar.js';
import { mayEndLines, VALUE } from './http-head.js';
import { bad, Refusal } from './http-refusal.js';

const { TOKEN, HEX, TAB, LF, CR, SPACE, COLON, SEMICOLON } = g;

/** What was looked for has not come whole. */
const MORE = -1;
/** Most bytes of the line with a chunk's size: extensions that are in use have less than 100. */
const MAX_LINE = 1024;

/** One per protocol. */
export class ChunkedBody {
  /** Where next() stopped: a \r\n that the line with a chunk's size comes after, there already or not. */
  position = 0;
  readonly #maxTrailers: number;
  /** Of the line read last. */
  #size = 0;

  /** @param maxTrailers most bytes of all trailers */
  constructor(maxTrailers: number) {
    this.#maxTrailers = maxTrailers;
  }

  /**
   * Reads on from `position`, at first the \r\n before the body.
   *
   * @param seen how many bytes were there at the last call
   * @returns where the body ends; 0 while more must come; what is more than `most` as soon as that is known
   */
  next(input: Buffer, seen: number, most: number): number {
    for (;;) {
      const at = this.position;
      if (!this.#lineBreak(input, at)) return 0;
      if (seen > at + 2 && this.#goesOn(input, seen, at + 2)) return 0;
      const data = this.#sizeLine(input, at + 2);
      if (data === MORE) return 0;
      if (this.#size === 0) return Math.max(this.#trailers(input, data), 0);
      const next = data + this.#size;
      if (next + 2 > most) return next + 2;
      this.position = next;
    }
  }

  #lineBreak(input: Buffer, at: number): boolean {
    if (at < input.length && input[at] !== CR) bad('a chunk that is longer than it said');
    if (at + 1 < input.length && input[at + 1] !== LF) bad('CR without LF');
    return at + 1 < input.length;
  }

  /** Whether the line at `from`, of which a part was looked at already, or the trailers behind it go on within their limits. */
  #goesOn(input: Buffer, seen: number, from: number): boolean {
    const line = input.indexOf(LF, from);
    if (line < 0) return input.length - from < MAX_LINE && !mayEndLines(input, seen);
    // A line that has been there before is the last chunk's: trailers follow.
    return line < seen && input.length - from < this.#maxTrailers && !mayEndLines(input, seen);
  }

  /** @returns where the chunk's data begin, its length in #size; MORE */
  #sizeLine(input: Buffer, from: number): number {
    const length = Math.min(input.length, from + MAX_LINE);
    let i = from;
    let size = 0;
    for (; i < length; i++) {
      const digit = HEX[input[i] ?? 0] ?? 255;
      if (digit > 15) break;
      size = Math.min(size * 16 + digit, Number.MAX_SAFE_INTEGER);
    }
    if (i >= length) return sizeLineMore(i - from);
    if (i === from) bad('a chunk without a size');
    if (input[i] !== CR) {
      while (i < length && (input[i] === SPACE || input[i] === TAB)) i++;
      if (i >= length) return sizeLineMore(i - from);
      if (input[i] !== SEMICOLON) bad("a chunk's size that is no number");
      while (i < length && VALUE[input[i] ?? 0] === 1) i++;
      if (i >= length) return sizeLineMore(i - from);
      if (input[i] !== CR) bad("a character that no chunk's extension may hold");
    }
    if (i + 1 >= length) return sizeLineMore(i + 1 - from);
    if (input[i + 1] !== LF) bad('CR without LF');
    this.#size = size;
    return i + 2;
  }

  /** @returns where the body ends; MORE */
  #trailers(input: Buffer, from: number): number {
    const length = Math.min(input.length, from + this.#maxTrailers);
    let i = from;
    for (;;) {
      const begin = i;
      if (i >= length) break;
      if (input[i] !== CR) {
        while (i < length && TOKEN[input[i] ?? 0] === 1) i++;
        if (i >= length) break;
        if (input[i] !== COLON || i === begin) bad('a trailer without a name and a colon');
        i++;
        while (i < length && VALUE[input[i] ?? 0] === 1) i++;
        if (i >= length) break;
        if (input[i] !== CR) bad('a character that no trailer may hold');
      }
      if (i + 1 >= length) break;
      if (input[i + 1] !== LF) bad('CR without LF');
      i += 2;
      if (i === begin + 2) return i;
    }
    if (length - from >= this.#maxTrailers) throw new Refusal(431, 'too long trailers');
    return MORE;
  }
}

/** @param length of what has come of the line */
function sizeLineMore(length: number): typeof MORE {
  if (length >= MAX_LINE) throw new Refusal(413, 'a too long line of a chunk');
  return MORE;
}

/** The chunks' data in one: of a body that ChunkedBody has found the end of, which begins at `from`. */
export function joinChunks(bytes: Buffer, from: number): Buffer {
  const body = Buffer.allocUnsafe(bytes.length - from);
  let length = 0;
  for (let i = from; ; ) {
    let size = 0;
    for (; ; i++) {
      const digit = HEX[bytes[i] ?? 0] ?? 255;
      if (digit > 15) break;
      size = size * 16 + digit;
    }
    const line = bytes.indexOf(LF, i);
    if (size === 0 || line < 0) return body.subarray(0, length);
    length += bytes.copy(body, length, line + 1, line + 1 + size);
    i = line + size + 3;
  }
}
