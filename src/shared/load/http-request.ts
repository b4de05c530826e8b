/** Makes the bytes of an HTTP/1.1 request. Nothing that a caller passes can add a line or a request to them. */
import { invalidType, outOfRange } from '../errors.js';
import type { Target } from './target.js';
import { CLOSES, HEAD, IDEMPOTENT } from './traits.js';

/** By name; several values make several lines. */
export type RequestHeaders = Readonly<Record<string, string | number | readonly string[]>>;

export interface RequestInit {
  /** Any token but CONNECT; those that node:http knows may be in lower case. Default GET, or POST with a body. */
  readonly method?: string;
  /** Replace the Host, Content-Length and Authorization that are sent without them. */
  readonly headers?: RequestHeaders;
  /** A string is sent as UTF-8. */
  readonly body?: string | Uint8Array;
}

export interface HttpRequest {
  readonly method: string;
  readonly bytes: Buffer;
  /** CLOSES, HEAD, IDEMPOTENT. */
  readonly traits: number;
}

/** Methods whose requests may be sent again when the connection is lost (RFC 9110, 9.2.2). */
const REPEATABLE = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
  'PROPFIND',
  'REPORT',
  'SEARCH',
  'QUERY',
]);
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Methods whose requests say that they have no body (RFC 9110, 8.6). */
export const WITH_BODY = new Set(['POST', 'PUT', 'PATCH']);

/**
 * The request for a target: Host first, then the headers as given, Content-Length where there is a body or one is expected.
 * With a Transfer-Encoding header the body must be coded already.
 *
 * @throws TypeError ERR_INVALID_ARG_TYPE, ERR_INVALID_HTTP_TOKEN (a header's name), ERR_INVALID_CHAR (its value),
 *   RangeError ERR_OUT_OF_RANGE (the method; a Content-Length that is not the body's)
 */
export function buildRequest(target: Target, init: RequestInit = {}): HttpRequest {
  const body = bodyBytes(init.body);
  const method = checkMethod(init.method === undefined ? (body === undefined ? 'GET' : 'POST') : init.method);
  const lines = headerLines(init.headers === undefined ? {} : init.headers);
  const given = new Map(lines.map(([name, value]) => [name.toLowerCase(), value]));

  const head = [`${method} ${target.path} HTTP/1.1`];
  if (!given.has('host')) head.push(`Host: ${target.authority}`);
  if (target.credentials !== undefined && !given.has('authorization')) {
    head.push(`Authorization: Basic ${Buffer.from(target.credentials).toString('base64')}`);
  }
  for (const [name, value] of lines) head.push(`${name}: ${value}`);

  const length = given.get('content-length');
  const bytes = body?.length ?? 0;
  if (length !== undefined && length !== String(bytes)) {
    throw outOfRange('headers["content-length"]', `the body's length, ${bytes}`, length);
  }
  if (length !== undefined && lines.filter(([name]) => /^content-length$/i.test(name)).length > 1) {
    throw outOfRange('headers["content-length"]', 'given once', length);
  }
  if (length === undefined && !given.has('transfer-encoding') && (body !== undefined || WITH_BODY.has(method))) {
    head.push(`Content-Length: ${bytes}`);
  }
  const text = Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1');
  return { method, bytes: body === undefined ? text : Buffer.concat([text, body]), traits: traitsOf(method, lines) };
}

/** Loaded when it is called for: in a thread that makes no requests of its own it would cost more than all else. */
const http = () => process.getBuiltinModule('node:http');

/** A method, in upper case if node:http knows it. @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE */
export function checkMethod(value: unknown): string {
  if (typeof value !== 'string') throw invalidType('method', 'a string', value);
  if (!TOKEN.test(value) || value.toUpperCase() === 'CONNECT') {
    throw outOfRange('method', 'a token such as GET or POST, but not CONNECT', value);
  }
  const method = value.toUpperCase();
  return http().METHODS.includes(method) ? method : value;
}

/** What a connection must know of a request with this method and these headers. */
export function traitsOf(method: string, lines: ReadonlyArray<readonly [name: string, value: string]>): number {
  let traits = method === 'HEAD' ? HEAD : 0;
  if (REPEATABLE.has(method)) traits |= IDEMPOTENT;
  const closes = lines.some(
    ([name, value]) => name.toLowerCase() === 'connection' && /(^|,)[ \t]*close[ \t]*(,|$)/i.test(value),
  );
  return closes ? traits | CLOSES : traits;
}

/** Every header as a line's name and value. @throws TypeError as buildRequest */
export function headerLines(headers: unknown): Array<[name: string, value: string]> {
  // What is iterated (Headers, a Map) has no names of its own, and would be no headers at all.
  if (typeof headers !== 'object' || headers === null || Symbol.iterator in headers) {
    throw invalidType('headers', 'an object of names and values', headers);
  }
  const lines: Array<[string, string]> = [];
  for (const [name, values] of Object.entries(headers)) {
    http().validateHeaderName(name);
    for (const value of Array.isArray(values) ? values : [values]) {
      if (typeof value !== 'string' && typeof value !== 'number') {
        throw invalidType(`headers[${JSON.stringify(name)}]`, 'a string, a number or an array of strings', value);
      }
      http().validateHeaderValue(name, String(value));
      lines.push([name, String(value)]);
    }
  }
  return lines;
}

function bodyBytes(body: unknown): Uint8Array | undefined {
  if (body === undefined) return undefined;
  if (typeof body === 'string') return Buffer.from(body);
  if (body instanceof Uint8Array) return body;
  throw invalidType('body', 'a string or a Uint8Array', body);
}
