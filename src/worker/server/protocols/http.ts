/** HTTP/1.0 and 1.1 as a protocol: where each request ends, and what is refused. */
import { validateHeaderValue } from 'node:http';
import * as args from '../../../shared/arguments.js';
import { invalidType } from '../../../shared/errors.js';
import type { Connection } from '../connection.js';
import { AnswerHeads } from './http-answer.js';
import { ChunkedBody } from './http-chunked.js';
import { mayEndLines, RequestHead } from './http-head.js';
import { Refusal, statusOf } from './http-refusal.js';
import { type HttpRequest, ServerRequest } from './http-request.js';
import {
  FRAMING,
  type FramedConnection,
  HOOKS,
  type HookedProtocol,
  type Protocol,
  type ProtocolHooks,
} from './protocol.js';

export interface HttpOptions {
  /** Most bytes of a request's line and headers, and of a body's trailers; default 16,384. */
  maxHead?: number | undefined;
  /** A `server` header for each answer that has none; default none. */
  server?: string | undefined;
}

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
/** A position must stay below 2^31. */
const LONGEST = 0x7fff_0000;

/**
 * HTTP/1.0 and 1.1 (RFC 9112): whole requests, chunked bodies put together, 100-continue answered, pipelined ones in order.
 *
 * Refused: 400 for what could be read in two ways or is no HTTP, 408 when idleTimeout passes in the middle of a request, 413 beyond
 * maxMessage, 417, 431 beyond maxHead, 501 for CONNECT and for transfer codings other than chunked, 505. A handler that throws, or
 * ends without respond(): 500.
 *
 * @throws TypeError ERR_INVALID_ARG_TYPE, ERR_INVALID_CHAR (in `server`), RangeError ERR_OUT_OF_RANGE
 */
export function http(options: HttpOptions = {}): Protocol<HttpRequest> {
  args.options(options);
  const { maxHead: most = 16_384, server }: { maxHead?: unknown; server?: unknown } = options;
  const maxHead = args.integer(most, 'options.maxHead', 1, LONGEST);
  if (server !== undefined) {
    if (typeof server !== 'string') throw invalidType('options.server', 'a string', server);
    validateHeaderValue('server', server);
  }
  return new HttpProtocol(maxHead, server);
}

class HttpProtocol implements HookedProtocol<ServerRequest> {
  readonly [HOOKS]: ProtocolHooks<ServerRequest> = {
    settled: (request, _connection, failed) => request.settle(failed),
    pending: (request, rests) => request.mayRest(rests),
    gone: (request, _connection, isOver) => request.leave(isOver),
  };
  readonly #maxHead: number;
  readonly #head = new RequestHead();
  readonly #body: ChunkedBody;
  readonly #answers: AnswerHeads;
  /** What #head is the head of, when frame() has just found it whole: decode() comes next, as a rule. */
  #parsed = -1;
  #parsedAt = 0;
  #parsedOf = 0;

  constructor(maxHead: number, server: string | undefined) {
    this.#maxHead = maxHead;
    this.#body = new ChunkedBody(maxHead);
    this.#answers = new AnswerHeads(server);
  }

  frame(input: Buffer, seen: number, connection: FramedConnection): number {
    this.#parsed = -1;
    const framing = connection[FRAMING];
    const most = framing === undefined ? LONGEST : Math.min(framing.maxMessage, LONGEST);
    let from = seen;
    let position = framing === undefined ? 0 : framing.position;
    if (position === 0) {
      const end = this.#frameHead(input, framing === undefined ? 0 : seen);
      if (end === 0) return 0;
      const head = this.#head;
      const whole = end + Math.max(head.length, 0);
      if (head.expects && input.length === end && (head.chunked || (whole > end && whole <= most))) {
        connection.send(CONTINUE);
      }
      if (!head.chunked) return this.#found(input, whole, connection);
      position = end - 2;
      from = end;
    }
    this.#body.position = position;
    const whole = this.#body.next(input, from, most);
    if (framing !== undefined) framing.position = this.#body.position;
    // The head may have been read at an earlier call, so decode() must look itself.
    return whole;
  }

  decode(bytes: Buffer, connection: FramedConnection): ServerRequest {
    const fresh =
      this.#parsed === bytes.length && this.#parsedAt === bytes.byteOffset && this.#parsedOf === connection.id;
    this.#parsed = -1;
    if (!fresh) this.#head.parse(bytes, bytes.length);
    return new ServerRequest(bytes, this.#head, connection, this.#answers);
  }

  refuse(error: unknown): Uint8Array {
    return this.#answers.refusal(statusOf(error));
  }

  /** @returns where the head ends; 0 while more must come */
  #frameHead(input: Buffer, seen: number): number {
    const { length } = input;
    if (seen > 0 && length < this.#maxHead && !mayEndLines(input, seen)) return 0;
    if (this.#head.parse(input, Math.min(length, this.#maxHead))) return this.#head.end;
    if (length >= this.#maxHead) throw new Refusal(431, 'a too long head');
    return 0;
  }

  #found(input: Buffer, whole: number, connection: Connection): number {
    if (whole <= input.length) {
      this.#parsed = whole;
      this.#parsedAt = input.byteOffset;
      this.#parsedOf = connection.id;
    }
    return whole;
  }
}
