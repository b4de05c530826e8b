/** The bytes of a request, as a server of Node's own reads them; and that no argument can add to them. */
import { createServer, type IncomingMessage, METHODS } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { buildRequest, type RequestInit } from '../dist/shared/load/http-request.js';
import { parseTarget } from '../dist/shared/load/target.js';

const target = parseTarget('http://example.org:8080/a/b?c=d');
const built = (init?: RequestInit, url = target) => buildRequest(url, init).bytes.toString('latin1');

interface Seen {
  readonly message: IncomingMessage;
  readonly body: string;
}

/** What node:http makes of these bytes, sent twice on one connection: whole requests, or an error. */
async function received(bytes: Uint8Array): Promise<Seen[]> {
  const seen: Seen[] = [];
  const server = createServer(async (message, response) => {
    seen.push({ message, body: await text(message) });
    response.end();
    if (seen.length === 2) done();
  });
  let done = () => {};
  let failed = (_: Error) => {};
  const both = new Promise<void>((resolve, reject) => {
    [done, failed] = [resolve, reject];
  });
  server.on('clientError', failed);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const socket = connect(address.port, '127.0.0.1').resume();
  socket.on('error', failed);
  socket.write(bytes);
  socket.write(bytes);
  const timer = setTimeout(failed, 10_000, new Error('the server did not see two requests'));
  try {
    await both;
  } finally {
    clearTimeout(timer);
    socket.destroy();
    server.close();
  }
  return seen;
}

test('the least of all requests', () => {
  expect(built()).toBe('GET /a/b?c=d HTTP/1.1\r\nHost: example.org:8080\r\n\r\n');
  expect(built({ method: 'head' })).toBe('HEAD /a/b?c=d HTTP/1.1\r\nHost: example.org:8080\r\n\r\n');
});

test.each<[url: string, path: string, host: string]>([
  ['http://h', '/', 'h'],
  ['http://h:80/x', '/x', 'h'],
  ['http://H:81?q', '/?q', 'h:81'],
  ['http://[::1]:8080/', '/', '[::1]:8080'],
  ['http://h/é ü'.replace(' ', '%20'), '/%C3%A9%20%C3%BC', 'h'],
  ['http://h/x#fragment', '/x', 'h'],
  ['http://unix:/run/a.sock', '/', 'localhost'],
  ['http://unix:/run/a.sock:/x?y:z', '/x?y:z', 'localhost'],
])('%s: path and Host', (url, path, host) => {
  expect(built({}, parseTarget(url))).toBe(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
});

test('a body is counted in bytes, and makes it a POST', () => {
  expect(built({ body: 'é€' })).toMatch(/^POST .*\r\nContent-Length: 5\r\n\r\n/s);
  expect(built({ body: '' })).toMatch(/^POST .*\r\nContent-Length: 0\r\n\r\n$/s);
  expect(built({ body: new Uint8Array([65, 66]), method: 'put' })).toMatch(/^PUT .*\r\nContent-Length: 2\r\n\r\nAB$/s);
});

test('a method that expects a body says that there is none', () => {
  for (const method of ['POST', 'PUT', 'PATCH']) expect(built({ method })).toMatch(/\r\nContent-Length: 0\r\n\r\n$/);
  for (const method of ['GET', 'DELETE', 'OPTIONS']) expect(built({ method })).not.toContain('Length');
});

test('headers of the caller replace the default ones, in any case', () => {
  const text = built({ body: 'ab', headers: { hOST: 'other', 'content-length': 2, X: ['a', 'b'] } });
  expect(text).toBe('POST /a/b?c=d HTTP/1.1\r\nhOST: other\r\ncontent-length: 2\r\nX: a\r\nX: b\r\n\r\nab');
});

test('a body that is coded already gets no length', () => {
  const text = built({ body: '1\r\nx\r\n0\r\n\r\n', headers: { 'Transfer-Encoding': 'chunked' } });
  expect(text).not.toMatch(/content-length/i);
});

test('user and password of the address', () => {
  const url = parseTarget('http://me:p%40ss@h/');
  expect(built({}, url)).toContain(`\r\nAuthorization: Basic ${Buffer.from('me:p@ss').toString('base64')}\r\n`);
  expect(built({ headers: { authorization: 'x' } }, url)).not.toContain('Basic');
});

test('node:http reads what was meant', async () => {
  const body = 'x'.repeat(1000);
  const headers = { 'X-One': '1', 'X-Many': ['a', 'b'], 'X-Empty': '', 'X-Latin': 'é' };
  const seen = await received(buildRequest(target, { method: 'post', headers, body }).bytes);
  expect(seen).toHaveLength(2);
  for (const { message, body: read } of seen) {
    expect([message.method, message.url, read]).toEqual(['POST', '/a/b?c=d', body]);
    expect(message.headers).toEqual({
      host: 'example.org:8080',
      'x-one': '1',
      'x-many': 'a, b',
      'x-empty': '',
      'x-latin': 'é',
      'content-length': '1000',
    });
  }
});

test('node:http reads every method', async () => {
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']) {
    const seen = await received(buildRequest(target, { method }).bytes);
    expect(seen.map(({ message }) => message.method)).toEqual([method, method]);
  }
});

const wrong: Array<[what: string, code: string, init: unknown]> = [
  ['a line in a value', 'ERR_INVALID_CHAR', { headers: { X: 'a\r\nY: b' } }],
  ['a line feed in one of several values', 'ERR_INVALID_CHAR', { headers: { X: ['a', 'b\n'] } }],
  ['NUL in a value', 'ERR_INVALID_CHAR', { headers: { X: '\0' } }],
  ['a value beyond Latin-1', 'ERR_INVALID_CHAR', { headers: { X: '€' } }],
  ['a line in a name', 'ERR_INVALID_HTTP_TOKEN', { headers: { 'X: a\r\nY': 'b' } }],
  ['a blank in a name', 'ERR_INVALID_HTTP_TOKEN', { headers: { 'X Y': 'b' } }],
  ['a colon in a name', 'ERR_INVALID_HTTP_TOKEN', { headers: { 'X:': 'b' } }],
  ['an empty name', 'ERR_INVALID_HTTP_TOKEN', { headers: { '': 'b' } }],
  ['a line in the method', 'ERR_OUT_OF_RANGE', { method: 'GET / HTTP/1.1\r\n\r\nGET' }],
  ['a method that is no token', 'ERR_OUT_OF_RANGE', { method: 'GET /' }],
  ['CONNECT', 'ERR_OUT_OF_RANGE', { method: 'CONNECT' }],
  ['another length than the body’s', 'ERR_OUT_OF_RANGE', { body: 'abc', headers: { 'Content-Length': 4 } }],
  ['a length without a body', 'ERR_OUT_OF_RANGE', { headers: { 'Content-Length': 4 } }],
  ['two lengths', 'ERR_OUT_OF_RANGE', { body: 'abc', headers: { 'Content-Length': 4, 'content-length': 3 } }],
  ['a method of another type', 'ERR_INVALID_ARG_TYPE', { method: 1 }],
  ['a body of another type', 'ERR_INVALID_ARG_TYPE', { body: {} }],
  ['headers as an array', 'ERR_INVALID_ARG_TYPE', { headers: ['X: y'] }],
  ['a value of another type', 'ERR_INVALID_ARG_TYPE', { headers: { X: {} } }],
  ['no value', 'ERR_INVALID_ARG_TYPE', { headers: { X: undefined } }],
];
test.each(wrong)('refuses %s', (_what, code, init) => {
  expect(() => Reflect.apply(buildRequest, undefined, [target, init])).toThrow(expect.objectContaining({ code }));
});

test('takes every method that node:http knows, but CONNECT', () => {
  for (const method of METHODS.filter(name => name !== 'CONNECT')) expect(built({ method })).toContain(`${method} /`);
});
