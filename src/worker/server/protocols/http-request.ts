/** A request as the handler is given it, and its answer. */
import * as args from '../../../shared/arguments.js';
import { invalidState, invalidType } from '../../../shared/errors.js';
import { type AnswerHeads, CHUNKED, type ResponseHeaders, UNSAID } from './http-answer.js';
import { joinChunks } from './http-chunked.js';
import { indexFields, isNamed, methodOf, valueIn } from './http-fields.js';
import type { RequestHead } from './http-head.js';
import { FRAMING, type FramedConnection } from './protocol.js';

/** One request; what is not a string of it is valid until the handler returns or its promise settles. */
export interface HttpRequest {
  readonly method: string;
  /** As it came: path and query, '*', or an absolute URL. */
  readonly target: string;
  readonly httpVersion: '1.0' | '1.1';
  /** The value of a header (lower-case name), several joined by ', ' (cookies by '; '); undefined. */
  header(name: string): string | undefined;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  /** Whether the connection stays open after the answer. */
  readonly keepAlive: boolean;
  /**
   * The answer, once. content-length, date and connection are added; there is no body for HEAD, 204 and 304. After an answer that
   * ends the connection (the client or a `connection: close` among the headers wants it) no further request of it is handled.
   *
   * @param status 200 to 599
   * @param body a string is sent as UTF-8
   * @throws Error ERR_INVALID_STATE (a second answer, or the handler has ended), RangeError ERR_OUT_OF_RANGE (the status; a
   *   content-length that is not the body's; a transfer-encoding), TypeError ERR_INVALID_ARG_TYPE, ERR_INVALID_HTTP_TOKEN (a
   *   header's name), ERR_INVALID_CHAR (its value)
   */
  respond(status: number, headers?: ResponseHeaders, body?: Uint8Array | string): void;
}

const NO_BYTES = Buffer.alloc(0);
/** Longer bodies are sent by themselves: copying them behind the head would cost more than a call. */
const JOINED = 32_768;

// How far the answer is.
const OPEN = 0;
const STREAMING = 1;
const ANSWERED = 2;

let warned = false;

/** What http() makes of a request's bytes. */
export class ServerRequest implements HttpRequest {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: '1.0' | '1.1';
  readonly connection: FramedConnection;
  readonly #answers: AnswerHeads;
  readonly #fieldsAt: number;
  readonly #headEnd: number;
  readonly #chunked: boolean;
  readonly #keepAlive: boolean;
  /** Empty once the handler has ended: then they may be another request's. */
  #bytes: Buffer;
  #ended = false;
  #state = OPEN;
  /** Where each header begins, its colon, and where its line ends; made when it is first asked for. */
  #fields: number[] | undefined;
  #body: Buffer | undefined;
  /** Of a streamed answer: whether it is sent in chunks, and ends the connection. */
  #chunks = false;
  #close = false;
  #tell: ((rests: boolean) => void) | undefined;
  #rests = false;
  #isCopied = false;

  /** Called if the client ends its side, and if the connection ends (`isOver`), before the handler does. */
  onGone: ((isOver: boolean) => void) | undefined;

  constructor(bytes: Buffer, head: RequestHead, connection: FramedConnection, answers: AnswerHeads) {
    this.method = methodOf(bytes, head.start, head.methodEnd);
    this.target = bytes.toString('latin1', head.methodEnd + 1, head.targetEnd);
    this.httpVersion = head.http10 ? '1.0' : '1.1';
    this.connection = connection;
    this.#answers = answers;
    this.#fieldsAt = head.fields;
    this.#headEnd = head.end;
    this.#chunked = head.chunked;
    this.#keepAlive = head.keepAlive;
    this.#bytes = bytes;
  }

  get keepAlive(): boolean {
    return this.#keepAlive && this.connection[FRAMING]?.ending !== true;
  }

  header(name: string): string | undefined {
    if (typeof name !== 'string') throw invalidType('name', 'a string', name);
    const fields = this.#index();
    const bytes = this.#bytes;
    let found: string | undefined;
    for (let k = 0; k < fields.length; k += 3) {
      const begin = fields[k] ?? 0;
      const colon = fields[k + 1] ?? 0;
      if (colon - begin !== name.length || !isNamed(bytes, begin, name)) continue;
      const value = valueIn(bytes, colon, fields[k + 2] ?? 0);
      found = found === undefined ? value : `${found}${name.toLowerCase() === 'cookie' ? '; ' : ', '}${value}`;
    }
    return found;
  }

  get rawHeaders(): readonly string[] {
    const fields = this.#index();
    const bytes = this.#bytes;
    const raw: string[] = [];
    for (let k = 0; k < fields.length; k += 3) {
      const colon = fields[k + 1] ?? 0;
      raw.push(bytes.toString('latin1', fields[k], colon), valueIn(bytes, colon, fields[k + 2] ?? 0));
    }
    return raw;
  }

  get body(): Buffer {
    this.#notEnded();
    if (this.#body === undefined) {
      const bytes = this.#bytes;
      if (bytes.length === this.#headEnd) this.#body = NO_BYTES;
      else this.#body = this.#chunked ? joinChunks(bytes, this.#headEnd) : bytes.subarray(this.#headEnd);
    }
    return this.#body;
  }

  respond(status: number, headers?: ResponseHeaders, body?: Uint8Array | string): void {
    this.#notAnswered();
    args.integer(status, 'status', 200, 599);
    if (body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array)) {
      throw invalidType('body', 'a string or a Uint8Array', body);
    }
    this.#answer(status, headers, body, this.keepAlive);
  }

  /**
   * Begins an answer whose body comes in pieces: write() each, then finish().
   *
   * @param length of the whole body, if it is known
   */
  begin(status: number, headers: ResponseHeaders, length: number | undefined): void {
    this.#notAnswered();
    args.integer(status, 'status', 200, 599);
    // HTTP/1.0 knows no chunks: there the connection's end is the body's.
    const untilClose = length === undefined && this.httpVersion === '1.0';
    const said = untilClose ? UNSAID : (length ?? CHUNKED);
    const head = this.#answers.head(status, headers, said, this.keepAlive && !untilClose, false);
    this.#chunks = said === CHUNKED;
    this.#close = this.#answers.close;
    this.#state = STREAMING;
    this.connection.send(Buffer.from(head, 'latin1'));
  }

  /** A piece of the body; none may be longer than what is left of a length that was said. */
  write(piece: Uint8Array): void {
    if (piece.byteLength === 0) return; // as a chunk it would be the end
    if (!this.#chunks) {
      this.connection.send(piece);
      return;
    }
    const size = `${piece.byteLength.toString(16)}\r\n`;
    const chunk = Buffer.allocUnsafe(size.length + piece.byteLength + 2);
    chunk.write(size, 'latin1');
    chunk.set(piece, size.length);
    chunk.write('\r\n', chunk.length - 2, 'latin1');
    this.connection.send(chunk);
  }

  /** Its answer is kept nowhere, and its next piece may be long in coming; or it is there. */
  rest(rests: boolean): void {
    if (rests === this.#rests || this.#tell === undefined) return;
    this.#rests = rests;
    if (rests && !this.#isCopied) {
      this.#isCopied = true;
      this.#body = undefined;
      this.#bytes = Buffer.from(this.#bytes);
    }
    this.#tell(rests);
  }

  /** Its handler's promise is pending. @param tell who is told of rest() */
  mayRest(tell: (rests: boolean) => void): void {
    this.#tell = tell;
  }

  finish(): void {
    this.#state = ANSWERED;
    if (this.#chunks) this.connection.send('0\r\n\r\n');
    if (this.#close) this.connection.end();
  }

  /** The handler has ended: an answer that it owes is 500, one that it has not finished cannot be completed. */
  settle(failed: boolean): void {
    if (this.#state === STREAMING) {
      this.connection.destroy();
    } else if (this.#state === OPEN && this.connection.open) {
      if (!failed && !warned) {
        warned = true;
        process.emitWarning(`a handler of http() has ended without respond(): ${this.method} ${this.target} got 500`);
      }
      this.#answer(500, undefined, '', this.keepAlive && !failed);
    }
    this.#state = ANSWERED;
    this.#ended = true;
    this.#bytes = NO_BYTES;
    this.onGone = undefined;
    this.#tell = undefined;
  }

  /** The client has ended its side, or the connection has ended; the handler has not yet. */
  leave(isOver: boolean): void {
    this.onGone?.(isOver);
  }

  #notAnswered(): void {
    if (this.#state !== OPEN) {
      throw invalidState(this.#ended ? 'the handler of this request has ended' : 'this request has its answer already');
    }
  }

  #notEnded(): void {
    if (this.#ended) throw invalidState('the handler of this request has ended, and its bytes are gone');
  }

  #index(): number[] {
    this.#notEnded();
    this.#fields ??= indexFields(this.#bytes, this.#fieldsAt, this.#headEnd - 2);
    return this.#fields;
  }

  #answer(
    status: number,
    headers: ResponseHeaders | undefined,
    body: Uint8Array | string | undefined,
    keepAlive: boolean,
  ): void {
    const head = this.method === 'HEAD';
    const none = status === 204 || status === 304;
    const length = none || (head && body === undefined) ? UNSAID : lengthOf(body);
    const answers = this.#answers;
    const text = answers.head(status, headers, length, keepAlive, (head || none) && status !== 204);
    const { ascii, close } = answers;
    this.#state = ANSWERED;
    if (head || body === undefined || length <= 0) {
      this.#send(ascii ? text : latin1(text), close);
    } else if (length > JOINED) {
      this.connection.send(ascii ? text : latin1(text));
      this.#send(body, close);
    } else {
      this.#send(ascii && typeof body === 'string' ? text + body : joined(text, body, length), close);
    }
  }

  #send(bytes: Uint8Array | string, close: boolean): void {
    if (close) this.connection.end(bytes);
    else this.connection.send(bytes);
  }
}

function lengthOf(body: Uint8Array | string | undefined): number {
  if (body === undefined) return 0;
  return typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
}

function latin1(head: string): Buffer {
  return Buffer.from(head, 'latin1');
}

function joined(head: string, body: Uint8Array | string, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(head.length + length);
  bytes.write(head, 'latin1');
  if (typeof body === 'string') bytes.write(body, head.length, 'utf8');
  else bytes.set(body, head.length);
  return bytes;
}
