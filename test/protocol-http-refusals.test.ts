/** http(): what is refused, with which status, in any pieces; and what options it takes. */
import { http } from 'epoll-pool/worker';
import { describe, expect, test } from 'vitest';
import { readByUs } from './support/http-reading.ts';
import { FakeServer } from './support/protocol.ts';
import { thrown } from './support/within.ts';

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Payload Too Large',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  505: 'HTTP Version Not Supported',
};
const refusal = (status: number) =>
  `HTTP/1.1 ${status} ${REASONS[status]}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`;

const get = (lines: string) => `GET / HTTP/1.1\r\nHost: x\r\n${lines}\r\n`;
const inChunks = (chunks: string) => `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`;

describe('refused, whole and in single bytes', () => {
  const cases: Array<[status: number, what: string, text: string]> = [
    [400, 'no request', 'garbage\r\n\r\n'],
    [400, 'a TLS handshake', '\x16\x03\x01\x02\x00\x01'],
    [400, 'a bare LF', '\nGET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, 'a line of HTTP/0.9', 'GET /\r\n'],
    [400, 'no target', 'GET HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, 'two spaces', 'GET  / HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, 'a space in the target', 'GET /a b HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, 'a space behind the version', 'GET / HTTP/1.1 \r\nHost: x\r\n\r\n'],
    [400, 'a tab for a space', 'GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, 'a fragment', 'GET /#a HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, 'a byte above ASCII in the target', 'GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, 'a target without a slash', 'GET index.html HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, '* for another method', 'GET * HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, 'a URL without a host', 'GET http:/// HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, 'a URL with a user', 'GET http://a@x/ HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, 'a method with a colon', 'G:T / HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, 'a version in lower case', 'GET / http/1.1\r\nHost: x\r\n\r\n'],
    [400, 'a version of two digits', 'GET / HTTP/1.10\r\nHost: x\r\n\r\n'],
    [400, 'a version of one', 'GET / HTTP/1\r\nHost: x\r\n\r\n'],
    [400, 'a request line that ends in LF', 'GET / HTTP/1.1\nHost: x\r\n\r\n'],
    [505, 'HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    [505, 'HTTP/0.9 in the form of 1', 'GET / HTTP/0.9\r\n\r\n'],
    [505, 'HTTP/3', 'GET / HTTP/3.1\r\nHost: x\r\n\r\n'],
    [501, 'CONNECT', 'CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n'],
    [400, 'no Host', 'GET / HTTP/1.1\r\n\r\n'],
    [400, 'two Hosts', get('Host: x\r\n')],
    [400, 'two Hosts in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n'],
    ...['a b', 'a/b', 'a?b', 'a@b', 'a#b', 'a"b', '\xe9'].map((host): [number, string, string] => [
      400,
      `the Host ${host}`,
      `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    ]),
    [400, 'a space before a colon', get('A : b\r\n')],
    [400, 'a space before the first name', 'GET / HTTP/1.1\r\n Host: x\r\n\r\n'],
    [400, 'a folded line', get('A: b\r\n c\r\n')],
    [400, 'a line without a colon', get('abc\r\n')],
    [400, 'an empty name', get(': b\r\n')],
    [400, 'a byte above ASCII in a name', get('\xe9: b\r\n')],
    [400, 'a header that ends in LF', get('A: b\n')],
    [400, 'a bare CR in a value', get('A: b\rc: d\r\n')],
    [400, 'NUL in a value', get('A: \0\r\n')],
    [400, 'DEL in a value', get('A: \x7f\r\n')],
    [400, 'an empty line that ends in LF', 'GET / HTTP/1.1\r\nHost: x\r\n\n'],
    [400, 'CR without LF at the end', 'GET / HTTP/1.1\r\nHost: x\r\n\rx'],
    [400, 'two lengths', get('Content-Length: 1\r\nContent-Length: 2\r\n')],
    [400, 'the same length twice', get('Content-Length: 1\r\nContent-Length: 1\r\n')],
    [400, 'a list of lengths', get('Content-Length: 1, 1\r\n')],
    [400, 'length and coding', get('Content-Length: 1\r\nTransfer-Encoding: chunked\r\n')],
    [400, 'coding and length', get('Transfer-Encoding: chunked\r\nContent-Length: 0\r\n')],
    ...['', '-1', '+1', '1.0', '0x1', '1 1', '1e1', '1a', '١'].map((length): [number, string, string] => [
      400,
      `the length ${JSON.stringify(length)}`,
      get(`Content-Length: ${length}\r\n`),
    ]),
    [501, 'another coding', get('Transfer-Encoding: gzip\r\n')],
    [501, 'another coding before', get('Transfer-Encoding: gzip, chunked\r\n')],
    [501, 'another coding behind', get('Transfer-Encoding: chunked, gzip\r\n')],
    [501, 'another coding in a line of its own', get('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n')],
    [501, 'a coding with parameters', get('Transfer-Encoding: chunked;a=b\r\n')],
    [501, 'a coding in quotes', get('Transfer-Encoding: "chunked"\r\n')],
    [400, 'chunked twice', get('Transfer-Encoding: chunked, chunked\r\n')],
    [400, 'no coding', get('Transfer-Encoding: \r\n')],
    [400, 'an empty coding', get('Transfer-Encoding: chunked,\r\n')],
    [400, 'a vertical tab before a coding', get('Transfer-Encoding: \x0bchunked\r\n')],
    [400, 'chunks in HTTP/1.0', 'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    [417, 'another expectation', get('Expect: the best\r\n')],
    [417, 'an expectation besides', get('Expect: 100-continue, x\r\n')],
    [400, 'no size of a chunk', inChunks('\r\n')],
    [400, 'an extension alone', inChunks(';a\r\n')],
    [400, 'a size that is no number', inChunks('g\r\n')],
    [400, 'a size with a sign', inChunks('+1\r\na\r\n')],
    [400, 'a size with 0x', inChunks('0x1\r\na\r\n')],
    [400, 'a blank before the size', inChunks(' 1\r\na\r\n')],
    [400, 'a blank behind the size', inChunks('1 \r\na\r\n')],
    [400, "a size's line that ends in LF", inChunks('1\na\r\n')],
    [400, "a size's line that ends in CR", inChunks('1\ra')],
    [400, 'LF in an extension', inChunks('1;a\nb\r\na\r\n')],
    [400, 'LF in a quoted extension', inChunks('1;a="\n"\r\na\r\n')],
    [400, 'a longer chunk', inChunks('1\r\nab\r\n')],
    [400, 'a chunk that ends in LF', inChunks('1\r\na\n0\r\n\r\n')],
    [400, 'a chunk that ends in CR', inChunks('1\r\na\rx')],
    [400, 'a trailer without a colon', inChunks('0\r\nabc\r\n\r\n')],
    [400, 'a trailer that is folded', inChunks('0\r\n a\r\n\r\n')],
    [400, 'a trailer that ends in LF', inChunks('0\r\nA: b\n\r\n')],
    [400, 'LF at the end of the trailers', inChunks('0\r\n\n')],
    [413, 'a great length', get('Content-Length: 99999999999999999999999\r\n')],
    [413, 'a great chunk', inChunks('ffffffffffffffffffffffff\r\n')],
    [413, 'an endless extension', inChunks(`1;${'a'.repeat(2000)}`)],
    [431, 'endless trailers', inChunks(`0\r\n${'A: b\r\n'.repeat(3000)}`)],
    [400, 'empty lines and no request', '\r\n'.repeat(20)],
  ];
  test.each(cases)('%d: %s', async (status, _, text) => {
    const bytes = Buffer.from(text, 'latin1');
    const before = 'GET /before HTTP/1.1\r\nHost: x\r\n\r\n';
    for (const framing of [true, false]) {
      for (const pieces of [[bytes], Array.from(bytes, byte => Uint8Array.of(byte)), [before, bytes]]) {
        const { requests, end, output } = await readByUs(pieces, framing);
        expect(requests).toHaveLength(pieces[0] === before ? 1 : 0);
        expect(Number.parseInt(end, 10)).toBe(status);
        expect(output.slice(output.lastIndexOf('HTTP/1.1 '))).toBe(refusal(status));
      }
    }
  });
});

describe('maxHead', () => {
  const exactly = (bytes: number, end = '\r\n\r\n') => {
    const begin = 'GET / HTTP/1.1\r\nHost: x\r\nX: ';
    return begin + 'x'.repeat(bytes - begin.length - end.length) + end;
  };

  async function status(text: string, maxHead?: number, step = text.length): Promise<string> {
    const fake = new FakeServer(http({ maxHead }), request => request.respond(200));
    for (let at = 0; at < text.length; at += step) await fake.feed(text.slice(at, at + step));
    return fake.connection.output.slice(9, 12);
  }

  test('is exact', async () => {
    for (const step of [undefined, 1]) {
      expect(await status(exactly(64), 64, step)).toBe('200');
      expect(await status(exactly(65), 64, step)).toBe('431');
      expect(await status(exactly(64, ''), 64, step)).toBe('431');
      expect(await status(exactly(63, ''), 64, step)).toBe('');
      expect(await status(`${exactly(64)}${exactly(64)}${exactly(65)}`, 64, step)).toBe('200');
    }
  });

  test('is 16 KiB', async () => {
    expect(await status(exactly(16_384))).toBe('200');
    expect(await status(exactly(16_385))).toBe('431');
  });

  test('what is wrong before it is told first', async () => {
    for (const step of [undefined, 1]) {
      expect(await status(exactly(100).replace('HTTP/1.1', 'HTTP/2.1'), 64, step)).toBe('505');
    }
  });

  test('counts trailers by themselves', async () => {
    const trailers = (bytes: number) => `X: ${'x'.repeat(bytes - 7)}\r\n\r\n`;
    const text = `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(100)}0\r\n`;
    for (const step of [undefined, 1]) {
      expect(await status(text + trailers(64), 64, step)).toBe('200');
      expect(await status(text + trailers(65), 64, step)).toBe('431');
    }
  });
});

test('maxMessage counts head, body and framing', async () => {
  const head = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n';
  const text = `${head}0123456789`;
  const chunked = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
  for (const [request, maxMessage, expected] of [
    [text, text.length, '200'],
    [text, text.length - 1, '413'],
    [head, text.length - 1, '413'], // before the body comes
    [chunked, chunked.length, '200'],
    [chunked, chunked.length - 1, '413'],
  ] as const) {
    const fake = new FakeServer(http(), r => r.respond(200), { maxMessage });
    await fake.feed(request);
    expect(fake.connection.output.slice(9, 12)).toBe(expected);
    expect(fake.outcome).toBe(expected === '200' ? 'open' : 'too-long');
  }
});

test('refuse() knows the errors of a server', () => {
  const { refuse } = http({ server: 'test' });
  const status = (error: unknown) => Buffer.from(refuse?.call(http(), error) ?? []).toString();
  expect(status(Object.assign(new RangeError('too long'), { code: 'ERR_OUT_OF_RANGE' }))).toContain(' 413 ');
  expect(status(Object.assign(new Error('idle'), { code: 'ETIMEDOUT' }))).toContain(' 408 ');
  for (const error of [new TypeError('a bug'), undefined, null, 'text', { code: 'ETIMEDOUT' }]) {
    expect(status(error)).toContain(' 500 ');
  }
});

test('options are checked', () => {
  const call = (options: unknown) => thrown(() => Reflect.apply(http, undefined, [options]));
  for (const options of [null, 1, { maxHead: '1' }, { maxHead: null }, { server: 1 }, { server: null }]) {
    expect(call(options)).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const maxHead of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31]) {
    expect(call({ maxHead })).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
  }
  expect(call({ server: 'a\r\nb: c' })).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_CHAR' });
  expect(http({ maxHead: undefined, server: undefined })).toBeDefined();
});
