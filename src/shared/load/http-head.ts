/** Reads a response's status line and headers, or a chunked body's trailers: they may be cut anywhere. */
import * as g from '../http/grammar.js';
import * as s from './http-state.js';

// Constants of this module's own are known to the optimizing compiler; imported ones it would load each time.
const {
  TOKEN,
  TAB,
  LF,
  CR,
  SPACE,
  COMMA,
  DIGIT_0,
  DIGIT_9,
  COLON,
  LOWER_C,
  LOWER_I,
  LOWER_K,
  LOWER_T,
  VERSION,
  OTHER,
  CONNECTION,
  CONTENT_LENGTH,
  TRANSFER_ENCODING,
  CLOSE,
  KEEP_ALIVE,
  CHUNKED,
  IDENTITY,
  WORDS,
} = g;
const {
  STATE,
  FLAGS,
  LEFT,
  NUMBER,
  STATUS,
  NAME,
  WORD,
  MATCHED,
  F_HTTP10,
  F_CLOSE,
  F_KEEP_ALIVE,
  F_LENGTH,
  F_TRANSFER,
  F_CHUNKED,
  F_TRAILER,
  S_STATUS_LINE,
  S_LINE,
  S_NAME,
  S_OTHER_NAME,
  S_OTHER_VALUE,
  S_LINE_FEED,
  S_LENGTH_START,
  S_LENGTH,
  S_LENGTH_END,
  S_WORD_START,
  S_WORD,
  S_LAST_FEED,
  S_HEAD_DONE,
  BAD_VERSION,
  BAD_STATUS,
  BAD_HEADER,
  BAD_LENGTH,
} = s;
const NO_WORD = new Uint8Array(0);

/**
 * Reads on in chunk[start, stop) up to the empty line (S_HEAD_DONE). A line may end in LF alone; it may hold no other control
 * character but TAB.
 *
 * @returns where it stopped, or a problem below 0
 */
export function readHead(words: Float64Array, at: number, chunk: Uint8Array, start: number, stop: number): number {
  let state = (words[at + STATE] ?? 0) | 0;
  let i = start | 0; // small integers, known as such: it doubles the speed
  while (i < stop) {
    // These read on as far as they can, and leave the state that comes then in `words`.
    if (state === S_STATUS_LINE || state >= S_NAME) {
      if (state === S_STATUS_LINE) i = readStatus(words, at, chunk, i, stop);
      else if (state === S_NAME) i = readName(words, at, chunk, i, stop);
      else if (state <= S_LENGTH_END) i = readLength(words, at, chunk, i, stop);
      else i = readWords(words, at, chunk, i, stop);
      if (i < 0) return i;
      state = (words[at + STATE] ?? 0) | 0;
      continue;
    }
    let c = chunk[i++] ?? 0;
    if (state === S_OTHER_NAME) {
      while (TOKEN[c] === 1 && i < stop) c = chunk[i++] ?? 0;
      if (c === COLON) state = S_OTHER_VALUE;
      else if (TOKEN[c] !== 1) return BAD_HEADER;
    } else if (state === S_OTHER_VALUE) {
      while ((c >= SPACE || c === TAB) && i < stop) c = chunk[i++] ?? 0;
      if (c === CR) state = S_LINE_FEED;
      else if (c === LF) state = S_LINE;
      else if (c < SPACE && c !== TAB) return BAD_HEADER;
    } else if (state === S_LINE) {
      const lower = c | 0x20;
      if (TOKEN[c] === 1) {
        state = S_OTHER_NAME;
        words[at + NAME] = OTHER;
        if ((lower === LOWER_C || lower === LOWER_T) && ((words[at + FLAGS] ?? 0) & F_TRAILER) === 0) {
          state = S_NAME;
          words[at + NAME] = lower === LOWER_C ? CONNECTION : TRANSFER_ENCODING;
          words[at + MATCHED] = 1;
        }
      } else if (c === CR) {
        state = S_LAST_FEED;
      } else if (c === LF) {
        words[at + STATE] = S_HEAD_DONE;
        return i;
      } else if ((c === SPACE || c === TAB) && words[at + NAME] === OTHER) {
        state = S_OTHER_VALUE; // folded (RFC 9112, 5.2); the headers that matter are not read that way
      } else {
        return BAD_HEADER;
      }
    } else {
      if (c !== LF) return BAD_HEADER;
      if (state === S_LAST_FEED) {
        words[at + STATE] = S_HEAD_DONE;
        return i;
      }
      state = S_LINE;
    }
  }
  words[at + STATE] = state;
  return i;
}

/** `HTTP/1.1 200`, and the byte after it. */
function readStatus(words: Float64Array, at: number, chunk: Uint8Array, start: number, stop: number): number {
  let k = (words[at + MATCHED] ?? 0) | 0;
  let status = (words[at + STATUS] ?? 0) | 0;
  let i = start | 0;
  while (i < stop) {
    const c = chunk[i++] ?? 0;
    const digit = c >= DIGIT_0 && c <= DIGIT_9;
    if (k < 7) {
      if (c !== VERSION[k]) return BAD_VERSION;
    } else if (k === 7) {
      if (!digit) return BAD_VERSION;
      if (c === DIGIT_0) words[at + FLAGS] = F_HTTP10;
    } else if (k === 8) {
      if (c !== SPACE) return BAD_VERSION;
    } else if (k < 12) {
      if (!digit || (k === 9 && c === DIGIT_0)) return BAD_STATUS;
      status = status * 10 + c - DIGIT_0;
    } else {
      if (c !== SPACE && c !== CR && c !== LF) return BAD_STATUS;
      words[at + STATUS] = status;
      words[at + NAME] = CONNECTION; // no header yet that a folded line could continue
      words[at + STATE] = c === SPACE ? S_OTHER_VALUE : c === CR ? S_LINE_FEED : S_LINE;
      return i;
    }
    k++;
  }
  words[at + MATCHED] = k;
  words[at + STATUS] = status;
  return i;
}

/** A name that may be one of those that matter. */
function readName(words: Float64Array, at: number, chunk: Uint8Array, start: number, stop: number): number {
  let k = (words[at + MATCHED] ?? 0) | 0;
  let name = (words[at + NAME] ?? 0) | 0;
  let word = WORDS[name] ?? NO_WORD;
  let state = S_NAME;
  let i = start | 0;
  while (i < stop) {
    const c = chunk[i++] ?? 0;
    if (c === COLON) {
      if (k !== word.length) name = OTHER;
      state = name === OTHER ? S_OTHER_VALUE : name === CONTENT_LENGTH ? S_LENGTH_START : S_WORD_START;
      break;
    }
    if (TOKEN[c] !== 1) return BAD_HEADER;
    const lower = c | 0x20;
    if (k === 3 && lower === LOWER_T && name === CONNECTION) {
      name = CONTENT_LENGTH; // "con" is how both begin
      word = WORDS[name] ?? NO_WORD;
    } else if (lower !== word[k]) {
      name = OTHER;
      state = S_OTHER_NAME;
      break;
    }
    k++;
  }
  words[at + NAME] = name;
  words[at + MATCHED] = k;
  words[at + STATE] = state;
  return i;
}

/** Content-Length: digits with blanks around, or several between commas. All must be the same (RFC 9112, 6.3). */
function readLength(words: Float64Array, at: number, chunk: Uint8Array, start: number, stop: number): number {
  let state = (words[at + STATE] ?? 0) | 0;
  let number = state === S_LENGTH_START ? 0 : (words[at + NUMBER] ?? 0);
  let i = start | 0;
  while (i < stop) {
    const c = chunk[i++] ?? 0;
    if (c >= DIGIT_0 && c <= DIGIT_9 && state !== S_LENGTH_END) {
      number = number * 10 + c - DIGIT_0;
      if (number > Number.MAX_SAFE_INTEGER) return BAD_LENGTH;
      state = S_LENGTH;
    } else if (c === SPACE || c === TAB) {
      if (state === S_LENGTH) state = S_LENGTH_END;
    } else {
      if ((c !== CR && c !== LF && c !== COMMA) || state === S_LENGTH_START) return BAD_LENGTH;
      const flags = words[at + FLAGS] ?? 0;
      if ((flags & F_LENGTH) !== 0 && words[at + LEFT] !== number) return BAD_LENGTH;
      words[at + LEFT] = number;
      words[at + FLAGS] = flags | F_LENGTH;
      if (c === COMMA) {
        number = 0;
        state = S_LENGTH_START;
        continue;
      }
      state = c === CR ? S_LINE_FEED : S_LINE;
      break;
    }
  }
  words[at + NUMBER] = number;
  words[at + STATE] = state;
  return i;
}

/** Connection and Transfer-Encoding: words between commas. A word with parameters is none that matters. */
function readWords(words: Float64Array, at: number, chunk: Uint8Array, start: number, stop: number): number {
  const transfer = words[at + NAME] === TRANSFER_ENCODING;
  let state = (words[at + STATE] ?? 0) | 0;
  let word = (words[at + WORD] ?? 0) | 0;
  let k = (words[at + MATCHED] ?? 0) | 0;
  let i = start | 0;
  while (i < stop) {
    const c = chunk[i++] ?? 0;
    if (c > SPACE && c !== COMMA) {
      const lower = TOKEN[c] === 1 ? c | 0x20 : 0;
      if (state === S_WORD_START) {
        word = OTHER;
        if (lower === LOWER_C) word = transfer ? CHUNKED : CLOSE;
        else if (lower === LOWER_K && !transfer) word = KEEP_ALIVE;
        else if (lower === LOWER_I && transfer) word = IDENTITY;
        state = S_WORD;
        k = 0;
      } else if (lower !== WORDS[word]?.[k]) {
        word = OTHER;
      }
      k++;
      continue;
    }
    if (state === S_WORD)
      words[at + FLAGS] = withWord(words[at + FLAGS] ?? 0, transfer, WORDS[word]?.length === k, word);
    state = S_WORD_START;
    if (c >= SPACE || c === TAB) continue;
    if (c !== CR && c !== LF) return BAD_HEADER;
    state = c === CR ? S_LINE_FEED : S_LINE;
    break;
  }
  words[at + WORD] = word;
  words[at + MATCHED] = k;
  words[at + STATE] = state;
  return i;
}

function withWord(flags: number, transfer: boolean, whole: boolean, word: number): number {
  // What servers of the last century say for no coding at all (RFC 2616, 3.6).
  if (transfer && whole && word === IDENTITY) return flags;
  // Only a body that was chunked last of all says where it ends (RFC 9112, 6.3).
  if (transfer) return whole && word === CHUNKED ? flags | F_TRANSFER | F_CHUNKED : (flags | F_TRANSFER) & ~F_CHUNKED;
  if (whole && word === CLOSE) return flags | F_CLOSE;
  return whole && word === KEEP_ALIVE ? flags | F_KEEP_ALIVE : flags;
}
