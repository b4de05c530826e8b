/** Makes the requests of a script, one after the other, in the same memory. */
import { invalidType, outOfRange } from '../errors.js';
import { checkMethod, headerLines, traitsOf, WITH_BODY } from './http-request.js';

type Line = readonly [name: string, value: string];

/** What holds for each request that does not say otherwise. */
export interface RequestBase {
  readonly path: string;
  readonly authority: string;
  readonly credentials: string | undefined;
  readonly method: string | undefined;
  readonly headers: readonly Line[];
  readonly body: Uint8Array | undefined;
}

const NO_BODY = new Uint8Array(0);
const LENGTH = 'content-length';

export class RequestBuilder {
  /** The request that was made last is in its first `length` bytes. */
  bytes = Buffer.allocUnsafeSlow(4096);
  length = 0;
  traits = 0;

  readonly #base: RequestBase;
  /** Whether the options have a Content-Length: then each request has, though it be 0. */
  readonly #saysLength: boolean;
  // Scripts tend to give the same headers again: the lines of the last ones.
  #headers: unknown;
  #method = '';
  #lines = '';
  #lineTraits = 0;
  #hasLength = false;

  constructor(base: RequestBase) {
    this.#base = base;
    this.#saysLength = base.headers.some(([name]) => name.toLowerCase() === LENGTH);
  }

  /** @throws TypeError, RangeError as buildRequest(), for what a script has returned */
  build(request: unknown): void {
    if (typeof request !== 'object' || request === null || 'then' in request) {
      throw invalidType('what request() returns', 'an object with method, path, headers, body', request);
    }
    const base = this.#base;
    const path = pathOf(Reflect.get(request, 'path') ?? base.path);
    const body = bodyOf(Reflect.get(request, 'body') ?? base.body);
    const given: unknown = Reflect.get(request, 'method') ?? base.method;
    const method = given === this.#method ? this.#method : checkMethod(given ?? (body === undefined ? 'GET' : 'POST'));
    const headers: unknown = Reflect.get(request, 'headers');
    if (method !== this.#method || headers !== this.#headers || this.#lines === '') this.#prepare(method, headers);
    const size = body === undefined ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    const length =
      !this.#hasLength && (body !== undefined || this.#saysLength || WITH_BODY.has(method))
        ? `Content-Length: ${size}\r\n`
        : '';
    this.#write(`${method} ${path} HTTP/1.1\r\n${this.#lines}${length}\r\n`, body, size);
    this.traits = this.#lineTraits;
  }

  #prepare(method: string, headers: unknown): void {
    const { headers: defaults, authority, credentials } = this.#base;
    const own = headers === undefined ? [] : headerLines(headers);
    const names = new Set(own.map(([name]) => name.toLowerCase()));
    if (names.has(LENGTH)) throw outOfRange('headers', 'without Content-Length in a script', headers);
    // What the options say of the length is true of their own body: each request says its own.
    const others = defaults.filter(([name]) => !names.has(name.toLowerCase()) && name.toLowerCase() !== LENGTH);
    const lines: Line[] = [...others, ...own];
    const all = new Set(lines.map(([name]) => name.toLowerCase()));
    const head: string[] = [];
    if (!all.has('host')) head.push(`Host: ${authority}`);
    if (credentials !== undefined && !all.has('authorization')) {
      head.push(`Authorization: Basic ${Buffer.from(credentials).toString('base64')}`);
    }
    for (const [name, value] of lines) head.push(`${name}: ${value}`);
    this.#lines = head.map(line => `${line}\r\n`).join('');
    this.#lineTraits = traitsOf(method, lines);
    this.#hasLength = all.has('transfer-encoding');
    this.#method = method;
    this.#headers = headers;
  }

  #write(head: string, body: string | Uint8Array | undefined, size: number): void {
    this.length = head.length + size;
    if (this.length > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(2 * this.length);
    this.bytes.write(head, 0, 'latin1');
    if (typeof body === 'string') this.bytes.write(body, head.length, 'utf8');
    else this.bytes.set(body ?? NO_BODY, head.length);
  }
}

function pathOf(path: unknown): string {
  if (typeof path !== 'string') throw invalidType('path', 'a string', path);
  if (/^\/[\x21-\x7e]*$/.test(path)) return path;
  if (!/^\/[^\p{Cc} ]*$/u.test(path)) {
    throw outOfRange('path', 'a path that begins with /, without blanks and control characters', path);
  }
  return path.replace(/[^\x21-\x7e]+/g, encodeURIComponent);
}

function bodyOf(body: unknown): string | Uint8Array | undefined {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return body;
  throw invalidType('body', 'a string or a Uint8Array', body);
}
