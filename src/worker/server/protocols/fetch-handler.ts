/** A handler for http() of an application that takes a Request and gives a Response. */
import { invalidType } from '../../../shared/errors.js';
import type { Connection } from '../connection.js';
import { answerWith, type Cancelling, cancel } from './fetch-answer.js';
import { type HttpRequest, ServerRequest } from './http-request.js';
import type { MessageHandler } from './protocol.js';

/**
 * A handler for http() of a fetch-style app: `export default fetchHandler(app.fetch)`.
 *
 * `request.url` is made of Host and target, https with TLS; `request.signal` is aborted when the client goes away before the answer:
 * name it where the request goes on to another server, `fetch(url, { signal: request.signal })`, for `fetch(request)` would not see it.
 * A client that ends only its own side counts as gone for the signal, as with node:http, and is answered all the same, but for a
 * streamed body of which nothing comes for 10 s.
 * A throw is a 500 and an 'error'. A body that is there at once is sent with its length, any other as it comes: chunked, or with the
 * response's own content-length; it waits for a client that reads slowly, and is cancelled when the client goes away.
 *
 * @throws TypeError ERR_INVALID_ARG_TYPE
 */
export function fetchHandler(fetch: (request: Request) => Response | Promise<Response>): MessageHandler<HttpRequest> {
  if (typeof fetch !== 'function') throw invalidType('fetch', 'a function', fetch);
  return async (message, connection) => {
    if (!(message instanceof ServerRequest)) throw invalidType('message', "a request of http()'s", message);
    const leaving = new Leaving(message, connection);
    const request = makeRequest(message, connection, leaving);
    if (request === undefined) return;
    try {
      await answerWith(message, await fetch(request), leaving);
    } catch (error) {
      // What an application does about its client's end is no error.
      if (!leaving.isReason(error)) throw error;
      // It may still read, but nobody answers it.
      connection.end();
    } finally {
      leaving.settled();
    }
  };
}

/** What an error's client is told that no Request can be made for: its Host or target is no part of a URL, or fetch knows no such method. */
const BAD_REQUEST = 400;
const NOT_IMPLEMENTED = 501;

/**
 * A client that has closed its socket and one that has only ended its side are the same to a server until it sends something. So a body of
 * which nothing comes for so long, in milliseconds, is given up when the client has ended its side: it would be kept for nobody, for ever.
 */
const MOST_SILENCE_MS = 10_000;

function makeRequest(message: ServerRequest, connection: Connection, leaving: Leaving): Request | undefined {
  const { method, target, rawHeaders } = message;
  const headers: Array<[string, string]> = [];
  for (let k = 0; k < rawHeaders.length; k += 2) headers.push([rawHeaders[k] ?? '', rawHeaders[k + 1] ?? '']);
  const origin = `${connection.tls === undefined ? 'http' : 'https'}://${message.header('host') || 'localhost'}`;
  const url = target.startsWith('/') ? origin + target : target === '*' ? `${origin}/*` : target;
  if (!URL.canParse(url)) {
    message.respond(BAD_REQUEST);
    return undefined;
  }
  if (!isFetchMethod(method)) {
    message.respond(NOT_IMPLEMENTED);
    return undefined;
  }
  const init: RequestInit = { method, headers };
  // Request refuses a body for these two. The bytes are copied: the request's own are gone when the handler has ended.
  if (method !== 'GET' && method !== 'HEAD' && message.body.length > 0) init.body = new Uint8Array(message.body);
  requests ??= requestClass();
  return new requests(url, init, leaving);
}

/**
 * Whether a Request can have this method as it came: some are forbidden in any case of letters, and of some others Request makes
 * capitals, which would be another method (RFC 9110, 9.1).
 */
function isFetchMethod(method: string): boolean {
  if (/^(connect|trace|track)$/i.test(method)) return false;
  return !/^(delete|get|head|options|post|put)$/i.test(method) || method === method.toUpperCase();
}

/** The client's going away, for whom it concerns. */
class Leaving implements Cancelling {
  readonly #connection: Connection;
  #controller: AbortController | undefined;
  #reader: ReadableStreamDefaultReader<unknown> | undefined;
  #leaves = false;
  #gone = false;
  #silence: NodeJS.Timeout | undefined;

  constructor(message: ServerRequest, connection: Connection) {
    this.#connection = connection;
    message.onGone = isOver => {
      this.#leaves = true;
      this.#gone ||= isOver;
      this.#controller?.abort();
      this.#tell();
    };
  }

  /** Made when it is asked for: it costs more than all the rest of a request. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#leaves) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  cancels(reader: ReadableStreamDefaultReader<unknown>): void {
    this.#reader = reader;
    this.#tell();
  }

  moves(): void {
    this.#silence?.refresh();
  }

  settled(): void {
    clearTimeout(this.#silence);
  }

  /** Tells the body, if there is one, what concerns it. */
  #tell(): void {
    const reader = this.#reader;
    if (reader === undefined || !this.#leaves) return;
    if (this.#gone) cancel(reader);
    else this.#silence ??= setTimeout(() => this.#isSilent(reader), MOST_SILENCE_MS);
  }

  /** Nothing has come of the body for so long. */
  #isSilent(reader: ReadableStreamDefaultReader<unknown>): void {
    if (this.#connection.pending > 0) {
      // The kernel will know whether there is somebody to take it.
      this.#silence?.refresh();
      return;
    }
    cancel(reader);
    this.#connection.destroy();
  }

  /** Whether an application says by this error that its client has gone. */
  isReason(error: unknown): boolean {
    return this.#leaves && error instanceof Error && error.name === 'AbortError';
  }
}

const LEAVING = Symbol('leaving');

// Named first when a request comes: Node loads its fetch then, which takes longer than all else of a thread's start.
let requests: ReturnType<typeof requestClass> | undefined;

function requestClass() {
  class ClientRequest extends Request {
    readonly [LEAVING]: Leaving;

    constructor(url: string, init: RequestInit, leaving: Leaving) {
      super(url, init);
      this[LEAVING] = leaving;
    }
  }
  // A getter as Request's own is, but the types have a property there, which a class cannot override by one.
  Object.defineProperty(ClientRequest.prototype, 'signal', {
    configurable: true,
    get(this: ClientRequest) {
      return this[LEAVING].signal;
    },
  });
  // Request's own would follow the signal that it has inside, which is never aborted.
  const { clone } = Request.prototype;
  Object.defineProperty(ClientRequest.prototype, 'clone', {
    configurable: true,
    writable: true,
    value(this: ClientRequest) {
      return new Request(clone.call(this), { signal: this[LEAVING].signal });
    },
  });
  return ClientRequest;
}
