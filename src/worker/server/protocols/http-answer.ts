/** The heads of answers: checked, with what every answer has besides. */
import { STATUS_CODES, validateHeaderName, validateHeaderValue } from 'node:http';
import { invalidType, outOfRange } from '../../../shared/errors.js';

/** What respond() takes: several values make several lines. */
export type ResponseHeaders = Readonly<Record<string, string | readonly string[]>>;

// What a header's name means here.
const PLAIN = 0;
const CONTENT_LENGTH = 1;
const TRANSFER_ENCODING = 2;
const CONNECTION = 3;
const DATE = 4;
const SERVER = 5;
const MEANINGS = new Map([
  ['content-length', CONTENT_LENGTH],
  ['transfer-encoding', TRANSFER_ENCODING],
  ['connection', CONNECTION],
  ['date', DATE],
  ['server', SERVER],
]);

/** Names that were checked already: an application uses a few dozen. */
const names = new Map<string, number>();
const MOST_NAMES = 1000;

/** Lengths of bodies that have none: no content-length is said unless the application says one; chunks follow. */
export const UNSAID = -1;
export const CHUNKED = -2;

/** One per protocol; what it returns of an answer besides stands in its fields, until the next one. */
export class AnswerHeads {
  /** Whether the application asks for the connection's end. */
  close = false;
  /** Whether the head is ASCII alone, so that it is the same in UTF-8. */
  ascii = true;
  readonly #server: string;
  readonly #serverAscii: boolean;
  #length: string | undefined;
  #date = '';
  #until = 0;

  constructor(server: string | undefined) {
    this.#server = server === undefined ? '' : `server: ${server}\r\n`;
    this.#serverAscii = Buffer.byteLength(this.#server) === this.#server.length;
  }

  /**
   * Status line and headers up to the empty line.
   *
   * @param length of the body, UNSAID or CHUNKED
   * @param keepAlive whether the connection may stay open
   * @param free whether the application may say any content-length, for there is no body (HEAD, 304)
   */
  head(
    status: number,
    headers: ResponseHeaders | undefined,
    length: number,
    keepAlive: boolean,
    free: boolean,
  ): string {
    this.close = !keepAlive;
    this.ascii = true;
    this.#length = undefined;
    let given = 0;
    let text = statusLine(status);
    if (headers !== undefined) {
      for (const name of ownNames(headers)) {
        const meaning = names.get(name) ?? learn(name);
        const value = headers[name];
        given |= 1 << meaning;
        if (meaning !== PLAIN && meaning <= CONNECTION) this.#special(name, meaning, value);
        else if (typeof value === 'string') text += this.#line(name, value);
        else for (const one of listed(name, value)) text += this.#line(name, one);
      }
    }
    if ((given & (1 << DATE)) === 0) text += this.#dateLine();
    if (this.#server !== '' && (given & (1 << SERVER)) === 0) {
      text += this.#server;
      if (!this.#serverAscii) this.ascii = false;
    }
    text += this.#lengthLine(length, free);
    return `${text}${this.close ? 'connection: close\r\n\r\n' : 'connection: keep-alive\r\n\r\n'}`;
  }

  /** The whole answer of a server that ends the connection. */
  refusal(status: number): Buffer {
    return Buffer.from(this.head(status, undefined, 0, false, false), 'latin1');
  }

  #line(name: string, value: string): string {
    let all = 0;
    for (let i = 0; i < value.length; i++) {
      const c = value.charCodeAt(i);
      if ((c < 32 && c !== 9) || c === 127 || c > 255) validateHeaderValue(name, value);
      all |= c;
    }
    if (all > 127) this.ascii = false;
    return `${name}: ${value}\r\n`;
  }

  /** What concerns the framing, and so is not sent as it was given. */
  #special(name: string, meaning: number, value: unknown): void {
    const text = typeof value === 'string' ? value : listed(name, value).join(', ');
    this.#line(name, text);
    if (meaning === CONNECTION) {
      if (/(^|,)[ \t]*close[ \t]*(,|$)/i.test(text)) this.close = true;
    } else if (meaning === TRANSFER_ENCODING) {
      throw outOfRange('headers', 'without transfer-encoding: the body is sent as it is given', text);
    } else {
      if (!/^\d+$/.test(text)) throw outOfRange(`headers[${JSON.stringify(name)}]`, "the body's length", text);
      this.#length = text;
    }
  }

  #lengthLine(length: number, free: boolean): string {
    if (length === CHUNKED) return 'transfer-encoding: chunked\r\n';
    const given = this.#length;
    if (given !== undefined && free) return `content-length: ${given}\r\n`;
    if (length === UNSAID) return '';
    if (given !== undefined && Number(given) !== length) {
      throw outOfRange('headers["content-length"]', `the body's length, ${length}`, given);
    }
    return `content-length: ${length}\r\n`;
  }

  #dateLine(): string {
    const now = Date.now();
    // Before it as well, should the clock be set back.
    if (now >= this.#until || now < this.#until - 1000) {
      this.#until = now - (now % 1000) + 1000;
      this.#date = `date: ${new Date(now).toUTCString()}\r\n`;
    }
    return this.#date;
  }
}

const lines: string[] = [];

function statusLine(status: number): string {
  let line = lines[status - 200];
  if (line === undefined) {
    line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
    lines[status - 200] = line;
  }
  return line;
}

function ownNames(headers: unknown): string[] {
  // A Map, Headers, an array: nothing of them are own properties, and they would be dropped in silence.
  if (typeof headers !== 'object' || headers === null || Symbol.iterator in headers) {
    throw invalidType('headers', 'an object of names and values', headers);
  }
  return Object.keys(headers);
}

/** What a name means, once it is known to be a header's name. */
function learn(name: string): number {
  validateHeaderName(name);
  const meaning = MEANINGS.get(name.toLowerCase()) ?? PLAIN;
  if (names.size < MOST_NAMES) names.set(name, meaning);
  return meaning;
}

function listed(name: string, values: unknown): readonly string[] {
  if (Array.isArray(values) && values.every(value => typeof value === 'string')) return values;
  throw invalidType(`headers[${JSON.stringify(name)}]`, 'a string or an array of strings', values);
}
