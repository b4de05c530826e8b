/** Reads the lines around the chunks of a chunked body (RFC 9112, 7.1), byte by byte: they may be cut anywhere. */
import { CONNECTION, CR, HEX, LF, SEMICOLON, SPACE, TAB } from '../http/grammar.js';
import * as s from './http-state.js';

/**
 * Reads on in chunk[start, stop) up to a chunk's data (S_CHUNK, its size in LEFT) or to the trailers (S_LINE).
 *
 * @returns where it stopped, or a problem below 0
 */
export function readChunkLines(
  words: Float64Array,
  at: number,
  chunk: Uint8Array,
  start: number,
  stop: number,
): number {
  let state = (words[at + s.STATE] ?? 0) | 0;
  let i = start | 0;
  while (i < stop) {
    let c = chunk[i++] ?? 0;
    switch (state) {
      case s.S_CHUNK_END:
        state = c === CR ? s.S_CHUNK_END_FEED : s.S_CHUNK_START;
        if (c !== CR && c !== LF) return s.BAD_CHUNK;
        break;
      case s.S_CHUNK_END_FEED:
        if (c !== LF) return s.BAD_CHUNK;
        state = s.S_CHUNK_START;
        break;
      case s.S_CHUNK_START:
      case s.S_CHUNK_SIZE: {
        const digit = HEX[c] ?? 255;
        if (digit < 16) {
          const size = (state === s.S_CHUNK_START ? 0 : (words[at + s.NUMBER] ?? 0)) * 16 + digit;
          if (size > Number.MAX_SAFE_INTEGER) return s.BAD_CHUNK;
          words[at + s.NUMBER] = size;
          state = s.S_CHUNK_SIZE;
          break;
        }
        if (state === s.S_CHUNK_START) return s.BAD_CHUNK;
        if (c === LF) return begin(words, at, i);
        state = c === CR ? s.S_CHUNK_FEED : s.S_CHUNK_EXTENSION;
        if (c !== CR && c !== SEMICOLON && c !== SPACE && c !== TAB) return s.BAD_CHUNK;
        break;
      }
      case s.S_CHUNK_EXTENSION:
        while ((c >= SPACE || c === TAB) && i < stop) c = chunk[i++] ?? 0;
        if (c === LF) return begin(words, at, i);
        if (c === CR) state = s.S_CHUNK_FEED;
        else if (c < SPACE && c !== TAB) return s.BAD_CHUNK;
        break;
      default: // S_CHUNK_FEED
        if (c !== LF) return s.BAD_CHUNK;
        return begin(words, at, i);
    }
  }
  words[at + s.STATE] = state;
  return i;
}

function begin(words: Float64Array, at: number, i: number): number {
  const size = words[at + s.NUMBER] ?? 0;
  if (size === 0) {
    words[at + s.FLAGS] = (words[at + s.FLAGS] ?? 0) | s.F_TRAILER;
    words[at + s.NAME] = CONNECTION; // the first trailer continues no line
    words[at + s.STATE] = s.S_LINE;
  } else {
    words[at + s.LEFT] = size;
    words[at + s.STATE] = s.S_CHUNK;
  }
  return i;
}
