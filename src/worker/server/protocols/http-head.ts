/** Reads the head of a request (RFC 9112, 2 to 6), strictly: what two servers could read in two ways is refused. */
import * as g from '../../../shared/http/grammar.js';
import { bad, Refusal } from './http-refusal.js';

// Constants of this module's own are known to the optimizing compiler; imported ones it would load each time.
const { TOKEN, TAB, LF, CR, SPACE, COMMA, DIGIT_0, DIGIT_9, COLON } = g;
const SLASH = 47;
const DOT = 46;
const QUESTION = 63;

/** Bytes of a request's target: all that is visible but #, which no client sends. Browsers do send " < > [ \ ] ^ ` { | } as they are. */
const TARGET = new Uint8Array(256).fill(1, 0x21, 0x7f);
TARGET[0x23] = 0;
/** Bytes of a header's value. */
export const VALUE = new Uint8Array(256)
  .fill(1, 0x20)
  .fill(1, TAB, TAB + 1)
  .fill(0, 0x7f, 0x80);
/** Bytes of a host and its port (RFC 3986, 3.2.2). */
const HOST = new Uint8Array(256);
for (const byte of Buffer.from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+,;=:[]")) {
  HOST[byte] = 1;
}

/** Most bytes of empty lines before a request: a client that sends one too many behind a body sends one (RFC 9112, 2.2). */
const MOST_EMPTY = 16;

const word = (text: string) => new Uint8Array(Buffer.from(text));
const PROTOCOL = word('HTTP/');
const OPTIONS = word('OPTIONS');
const CONNECT = word('CONNECT');
const N_HOST = word('host');
const N_EXPECT = word('expect');
const N_CONNECTION = word('connection');
const N_CONTENT_LENGTH = word('content-length');
const N_TRANSFER_ENCODING = word('transfer-encoding');
const CHUNKED = word('chunked');
const CLOSE = word('close');
const KEEP_ALIVE = word('keep-alive');
const CONTINUE = word('100-continue');

/** What parse() found, until it is called again. Offsets are those in the bytes that it was given. */
export class RequestHead {
  /** Where the request line begins: empty lines before it are skipped. */
  start = 0;
  methodEnd = 0;
  targetEnd = 0;
  /** Where the first header begins. */
  fields = 0;
  /** Behind the empty line. */
  end = 0;
  /** HTTP/1.0; what calls itself HTTP/1.2 is read as 1.1 (RFC 9110, 2.5). */
  http10 = false;
  /** Content-Length; -1: none. One that is too large to count is Number.MAX_SAFE_INTEGER. */
  length = -1;
  chunked = false;
  /** Whether the client wants to be told to go on. */
  expects = false;
  #close = false;
  #keepAlive = false;
  #hosts = 0;
  #unmet = false;

  /** Whether the client lets the connection stay open. */
  get keepAlive(): boolean {
    return this.http10 ? this.#keepAlive && !this.#close : !this.#close;
  }

  /**
   * Reads the head at the begin of input[0, stop).
   *
   * @returns whether all of it is there
   * @throws Refusal for what is wrong first, as soon as it is there
   */
  parse(input: Uint8Array, stop: number): boolean {
    this.length = -1;
    this.chunked = false;
    this.expects = false;
    this.#close = false;
    this.#keepAlive = false;
    this.#hosts = 0;
    this.#unmet = false;
    let i = this.#requestLine(input, stop);
    if (i < 0) return false;
    this.fields = i;
    for (;;) {
      if (i >= stop) return false;
      if (input[i] === CR) break;
      const name = i;
      while (i < stop && TOKEN[input[i] ?? 0] === 1) i++;
      if (i >= stop) return false;
      if (input[i] !== COLON || i === name) bad('a header line without a name and a colon');
      const colon = i++;
      while (i < stop && VALUE[input[i] ?? 0] === 1) i++;
      if (i >= stop) return false;
      if (input[i] !== CR) bad('a character that no header may hold');
      if (i + 1 >= stop) return false;
      if (input[i + 1] !== LF) bad('CR without LF');
      this.#field(input, name, colon, i);
      i += 2;
    }
    if (i + 1 >= stop) return false;
    if (input[i + 1] !== LF) bad('CR without LF');
    this.end = i + 2;
    this.#check();
    return true;
  }

  /** @returns where the first header begins; -1: more must come */
  #requestLine(input: Uint8Array, stop: number): number {
    let i = 0;
    while (i < stop && input[i] === CR) {
      if (i + 1 >= stop) return -1;
      if (input[i + 1] !== LF) bad('CR without LF');
      i += 2;
      if (i > MOST_EMPTY) bad('empty lines and no request');
    }
    const start = i;
    while (i < stop && TOKEN[input[i] ?? 0] === 1) i++;
    if (i >= stop) return -1;
    if (input[i] !== SPACE || i === start) bad('no method');
    const methodEnd = i++;
    const target = i;
    while (i < stop && TARGET[input[i] ?? 0] === 1) i++;
    if (i >= stop) return -1;
    if (input[i] !== SPACE || i === target) bad('no target');
    const targetEnd = i++;
    const version = i;
    for (; i < version + 10; i++) {
      if (i >= stop) return -1;
      if (!isVersion(input[i] ?? 0, i - version)) bad('no version of HTTP');
    }
    if (input[version + 5] !== DIGIT_0 + 1) throw new Refusal(505, 'another version than HTTP/1');
    this.start = start;
    this.methodEnd = methodEnd;
    this.targetEnd = targetEnd;
    this.http10 = input[version + 7] === DIGIT_0;
    if (matches(input, start, methodEnd, CONNECT)) throw new Refusal(501, 'CONNECT');
    if (input[target] !== SLASH) this.#otherTarget(input, start, methodEnd, targetEnd);
    return i;
  }

  /** A target that does not begin with a slash: '*' of OPTIONS, or an absolute URL (RFC 9112, 3.2). */
  #otherTarget(input: Uint8Array, start: number, methodEnd: number, end: number): void {
    const begin = methodEnd + 1;
    if (input[begin] === 42 && end === begin + 1 && matches(input, start, methodEnd, OPTIONS)) return;
    let i = begin;
    while (i < end && isSchemeByte(input[i] ?? 0, i === begin)) i++;
    if (i === begin || input[i] !== COLON || input[i + 1] !== SLASH || input[i + 2] !== SLASH) {
      bad('a target that is none');
    }
    const authority = i + 3;
    i = authority;
    while (i < end && HOST[input[i] ?? 0] === 1) i++;
    if (i === authority || (i < end && input[i] !== SLASH && input[i] !== QUESTION)) bad('a target without a host');
  }

  /** One header: those that matter have lengths of their own. */
  #field(input: Uint8Array, name: number, colon: number, end: number): void {
    switch (colon - name) {
      case 4:
        if (equals(input, name, N_HOST)) this.#host(input, colon + 1, end);
        break;
      case 6:
        if (equals(input, name, N_EXPECT)) {
          const begin = skipBlanks(input, colon + 1, end);
          if (isWord(input, begin, dropBlanks(input, begin, end), CONTINUE)) this.expects = true;
          else this.#unmet = true;
        }
        break;
      case 10:
        if (equals(input, name, N_CONNECTION)) this.#connection(input, colon + 1, end);
        break;
      case 14:
        if (equals(input, name, N_CONTENT_LENGTH)) this.#contentLength(input, colon + 1, end);
        break;
      case 17:
        if (equals(input, name, N_TRANSFER_ENCODING)) this.#transferEncoding(input, colon + 1, end);
        break;
    }
  }

  #host(input: Uint8Array, from: number, to: number): void {
    if (this.#hosts++ > 0) bad('two Host headers');
    const begin = skipBlanks(input, from, to);
    const end = dropBlanks(input, begin, to);
    for (let i = begin; i < end; i++) if (HOST[input[i] ?? 0] !== 1) bad('a Host that is none');
  }

  #contentLength(input: Uint8Array, from: number, to: number): void {
    if (this.length >= 0) bad('two Content-Length headers');
    const begin = skipBlanks(input, from, to);
    const end = dropBlanks(input, begin, to);
    if (begin === end) bad('an empty Content-Length');
    let length = 0;
    for (let i = begin; i < end; i++) {
      const c = input[i] ?? 0;
      if (c < DIGIT_0 || c > DIGIT_9) bad('a Content-Length that is no number');
      length = Math.min(length * 10 + c - DIGIT_0, Number.MAX_SAFE_INTEGER);
    }
    this.length = length;
  }

  #transferEncoding(input: Uint8Array, from: number, to: number): void {
    for (let i = from; i <= to; ) {
      const stop = elementEnd(input, i, to);
      const begin = skipBlanks(input, i, stop);
      const end = dropBlanks(input, begin, stop);
      if (begin === end) bad('an empty transfer coding');
      if (!isWord(input, begin, end, CHUNKED)) throw new Refusal(501, 'a transfer coding other than chunked');
      if (this.chunked) bad('chunked twice');
      this.chunked = true;
      i = stop + 1;
    }
  }

  #connection(input: Uint8Array, from: number, to: number): void {
    for (let i = from; i < to; ) {
      const stop = elementEnd(input, i, to);
      const begin = skipBlanks(input, i, stop);
      const end = dropBlanks(input, begin, stop);
      if (isWord(input, begin, end, CLOSE)) this.#close = true;
      else if (isWord(input, begin, end, KEEP_ALIVE)) this.#keepAlive = true;
      i = stop + 1;
    }
  }

  /** What only the whole head tells. */
  #check(): void {
    if (this.#hosts === 0 && !this.http10) bad('no Host');
    if (this.chunked && this.length >= 0) bad('Content-Length and Transfer-Encoding');
    if (this.chunked && this.http10) bad('HTTP/1.0 has no chunks');
    if (this.http10) this.expects = false;
    else if (this.#unmet) throw new Refusal(417, 'an expectation other than 100-continue');
  }
}

/** Whether `c` may stand at `k` in `HTTP/1.1\r\n`. */
function isVersion(c: number, k: number): boolean {
  if (k < 5) return c === PROTOCOL[k];
  if (k === 5 || k === 7) return c >= DIGIT_0 && c <= DIGIT_9;
  return c === (k === 6 ? DOT : k === 8 ? CR : LF);
}

function isSchemeByte(c: number, first: boolean): boolean {
  const lower = c | 0x20;
  if (lower >= 97 && lower <= 122) return true;
  return !first && ((c >= DIGIT_0 && c <= DIGIT_9) || c === 43 || c === 45 || c === DOT);
}

/** The word in lower case at `from`, in any case; only letters, digits and hyphens are in words. */
function equals(input: Uint8Array, from: number, expected: Uint8Array): boolean {
  for (let k = 0; k < expected.length; k++) if (((input[from + k] ?? 0) | 0x20) !== expected[k]) return false;
  return true;
}

function isWord(input: Uint8Array, from: number, to: number, expected: Uint8Array): boolean {
  return to - from === expected.length && equals(input, from, expected);
}

/** Exactly these bytes. */
function matches(input: Uint8Array, from: number, to: number, expected: Uint8Array): boolean {
  if (to - from !== expected.length) return false;
  for (let k = 0; k < expected.length; k++) if (input[from + k] !== expected[k]) return false;
  return true;
}

function elementEnd(input: Uint8Array, from: number, to: number): number {
  let i = from;
  while (i < to && input[i] !== COMMA) i++;
  return i;
}

/** Behind the blanks at `from`. */
export function skipBlanks(input: Uint8Array, from: number, to: number): number {
  let i = from;
  while (i < to && (input[i] === SPACE || input[i] === TAB)) i++;
  return i;
}

/** Before the blanks at the end. */
export function dropBlanks(input: Uint8Array, from: number, to: number): number {
  let i = to;
  while (i > from && (input[i - 1] === SPACE || input[i - 1] === TAB)) i--;
  return i;
}

/**
 * Whether the bytes since `seen` can end a head or trailers, or are worth a look at all of it: the end of the first line, and what
 * none may hold. All others are looked at once more when the end is there, so that what comes byte by byte costs little.
 */
export function mayEndLines(input: Buffer, seen: number): boolean {
  for (let i = seen; i < input.length; i++) {
    const c = input[i] ?? 0;
    if (c !== LF) {
      if (input[i - 1] !== CR && ((c >= 32 && c !== 127) || c === TAB || c === CR)) continue;
      return true;
    }
    if (input[i - 1] !== CR || input[i - 2] === LF || input.indexOf(LF) === i) return true;
  }
  return false;
}
