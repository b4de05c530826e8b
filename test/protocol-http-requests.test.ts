/** http(): what a handler is given of a request, and the order in which requests are handled. */
import { setImmediate } from 'node:timers/promises';
import { type HttpRequest, http, type MessageHandler } from 'epoll-pool/worker';
import { describe, expect, test } from 'vitest';
import { readByUs } from './support/http-reading.ts';
import { type FakeOptions, FakeServer } from './support/protocol.ts';
import { thrown } from './support/within.ts';

const server = (handler: MessageHandler<HttpRequest>, options?: FakeOptions) =>
  new FakeServer(http(), handler, options);

/** What `look` sees of the one request. */
async function seen<T>(text: string, look: (request: HttpRequest) => T): Promise<T> {
  const found: T[] = [];
  const fake = server(request => {
    found.push(look(request));
    request.respond(204);
  });
  await fake.feed(Buffer.from(text, 'latin1'));
  expect({ error: fake.error, count: found.length }).toEqual({ error: undefined, count: 1 });
  const [only] = found.map(value => ({ value }));
  if (only === undefined) throw new Error('nothing was seen');
  return only.value;
}

describe('the request line', () => {
  const targets = [
    '/',
    '/a/b?c=d&e=%20',
    '//x',
    '/?"<>[]^`{|}\\',
    '*',
    'http://example.com/a?b',
    'https://[::1]:8080',
    'urn+x.y-1://h?',
  ];
  test.each(targets)('the target %s as it came', async target => {
    const method = target === '*' ? 'OPTIONS' : 'GET';
    expect(await seen(`${method} ${target} HTTP/1.1\r\nHost: x\r\n\r\n`, r => r.target)).toBe(target);
  });

  test.each([
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'DELETE',
    'OPTIONS',
    'PATCH',
    'TRACE',
    'PROPFIND',
    'get',
    'PUTT',
    'DELETF',
    'X-Y!#$',
    'G',
  ])('the method %s', async method => {
    expect(await seen(`${method} / HTTP/1.1\r\nHost: x\r\n\r\n`, r => r.method)).toBe(method);
  });

  test.each([
    ['HTTP/1.0', '1.0'],
    ['HTTP/1.1', '1.1'],
    ['HTTP/1.9', '1.1'],
  ])('the version of %s is %s', async (version, expected) => {
    expect(await seen(`GET / ${version}\r\nHost: x\r\n\r\n`, r => r.httpVersion)).toBe(expected);
  });

  test('may have empty lines before it', async () => {
    expect(await seen('\r\n\r\nGET /x HTTP/1.1\r\nHost: x\r\n\r\n', r => [r.method, r.target])).toEqual(['GET', '/x']);
  });
});

describe('headers', () => {
  const text =
    'GET / HTTP/1.1\r\nHost: x\r\nX-One:1\r\nx-two: \t a, b \t\r\nX-TWO: c\r\nCookie: a=1\r\nEmpty:\r\ncookie: b=2\r\nLatin: \xe9\r\n\r\n';

  test('by name, joined where there are several', async () => {
    const names = ['host', 'x-one', 'x-two', 'cookie', 'empty', 'latin', 'x', 'missing', 'X-One', '__proto__', 'hös'];
    expect(await seen(text, r => names.map(name => r.header(name)))).toEqual([
      'x',
      '1',
      'a, b, c',
      'a=1; b=2',
      '',
      'é',
      undefined,
      undefined,
      '1',
      undefined,
      undefined,
    ]);
  });

  test('raw, as they came', async () => {
    expect(await seen(text, r => r.rawHeaders)).toEqual([
      'Host',
      'x',
      'X-One',
      '1',
      'x-two',
      'a, b',
      'X-TWO',
      'c',
      'Cookie',
      'a=1',
      'Empty',
      '',
      'cookie',
      'b=2',
      'Latin',
      'é',
    ]);
    expect(await seen('GET / HTTP/1.0\r\n\r\n', r => r.rawHeaders)).toEqual([]);
  });

  test('a name must be a string', async () => {
    const error = await seen(text, r => thrown(() => Reflect.apply(r.header, r, [1])));
    expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  });
});

describe('bodies', () => {
  const chunked = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
  test.each<[string, string, string]>([
    ['none', 'POST / HTTP/1.1\r\nHost: x\r\n\r\n', ''],
    ['empty', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n', ''],
    ['by length', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 005\r\n\r\nh\r\n\r\n', 'h\r\n\r\n'],
    ['of GET too', 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na', 'a'],
    ['chunked', `${chunked}5\r\nhello\r\n1\r\n \r\n00b\r\n0123456789a\r\n0\r\n\r\n`, 'hello 0123456789a'],
    ['chunked and empty', `${chunked}0\r\n\r\n`, ''],
    ['with extensions', `${chunked}1;a\r\nx\r\n1 ;a=b;c="d;e"\r\ny\r\n0;z\r\n\r\n`, 'xy'],
    ['with trailers', `${chunked}A\r\n0123456789\r\n000\r\nContent-Length: 7\r\nX:\r\n\r\n`, '0123456789'],
  ])('%s', async (_, text, body) => {
    expect(await seen(text, r => r.body.toString())).toBe(body);
    expect(await seen(text, r => new Set([r.body, r.body]).size)).toBe(1);
  });

  test('trailers are no headers', async () => {
    expect(await seen(`${chunked}0\r\nX: y\r\n\r\n`, r => r.header('x'))).toBeUndefined();
  });
});

describe('keepAlive', () => {
  test.each<[string, string, boolean]>([
    ['1.1', '', true],
    ['1.1', 'Connection: close\r\n', false],
    ['1.1', 'Connection: keep-alive, Close\r\n', false],
    ['1.1', 'Connection: x\r\nConnection: CLOSE \r\n', false],
    ['1.1', 'Connection: closed, "close", no-close\r\n', true],
    ['1.0', '', false],
    ['1.0', 'Connection: keep-alive\r\n', true],
    ['1.0', 'Connection: TE ,\tKeep-Alive\r\n', true],
    ['1.0', 'Connection: keep-alive, close\r\n', false],
  ])('HTTP/%s %j: %s', async (version, line, expected) => {
    expect(await seen(`GET / HTTP/${version}\r\nHost: x\r\n${line}\r\n`, r => r.keepAlive)).toBe(expected);
  });

  test('not on a connection that is ending', async () => {
    const fake = server(request => {
      expect(request.keepAlive).toBe(false);
      request.respond(200);
    });
    fake.connection.becomeLast();
    await fake.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(fake.connection.output).toContain('connection: close\r\n');
    expect(fake.outcome).toBe('end');
  });
});

test('pipelined requests are handled in order, one at a time', async () => {
  const order: string[] = [];
  const fake = server(async request => {
    const { target } = request;
    order.push(`begin ${target}`);
    if (target === '/1') for (let turn = 0; turn < 3; turn++) await setImmediate();
    order.push(`end ${target}`);
    request.respond(200, {}, target);
  });
  const text = [1, 2, 3].map(n => `GET /${n} HTTP/1.1\r\nHost: x\r\n\r\n`).join('');
  await fake.feed(text);
  expect(order).toEqual(['begin /1', 'end /1', 'begin /2', 'end /2', 'begin /3', 'end /3']);
  expect(fake.connection.output.match(/\n\/\d/g)).toEqual(['\n/1', '\n/2', '\n/3']);
});

test('connections of one thread do not disturb each other', async () => {
  const texts = [
    'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nfirst',
    'GET /bbbb HTTP/1.0\r\nX-Longer: b\r\n\r\n',
    'PUT /ccccc HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: cc\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nA: b\r\n\r\n',
    'HEAD /d HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nother',
  ];
  const look = ({ method, target, rawHeaders, body }: HttpRequest) => [method, target, rawHeaders, body.toString()];
  const alone = await Promise.all(texts.map(text => seen(text, look)));
  for (let turn = 1; turn < 40; turn++) {
    const protocol = http();
    const found: unknown[] = [];
    const servers = texts.map(
      (_, k) =>
        new FakeServer(protocol, request => {
          found[k] = look(request);
          request.respond(200);
        }),
    );
    for (let at = 0; at < 200; at += turn) {
      for (const [k, text] of texts.entries()) if (at < text.length) await servers[k]?.feed(text.slice(at, at + turn));
    }
    expect(found).toEqual(alone);
  }
});

test('requests behind one that closes are not handled', async () => {
  const { requests, end } = await readByUs([
    'GET /1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n',
  ]);
  expect(requests.map(({ target }) => target)).toEqual(['/1']);
  expect(end).toBe('closed');
});

describe('100-continue', () => {
  const go = 'HTTP/1.1 100 Continue\r\n\r\n';
  const head = 'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n';
  const chunked = 'PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n';

  test.each([head, chunked])('answered when the body is not there yet, once: %j', async text => {
    for (const framing of [true, false]) {
      const fake = server(request => request.respond(200), { framing });
      for (const byte of Buffer.from(text)) {
        expect(fake.connection.output).toBe('');
        await fake.feed(Uint8Array.of(byte));
      }
      expect(fake.connection.output).toBe(go);
      for (const piece of text === head ? ['a', 'b'] : ['2', '\r\n', 'ab', '\r\n0\r\n\r', '\n']) await fake.feed(piece);
      expect(fake.connection.output).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n/);
      expect(fake.connection.output.split('100 Continue')).toHaveLength(2);
    }
  });

  test.each([
    `${head}a`,
    `${chunked}2`,
    head.replace('Length: 2', 'Length: 0'),
    head.replace('HTTP/1.1', 'HTTP/1.0'),
    'GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n',
  ])('not otherwise: %j', async text => {
    const fake = server(request => request.respond(200));
    await fake.feed(text);
    expect(fake.connection.output).not.toContain('100 Continue');
  });

  test('not for a body that is too long', async () => {
    const fake = server(request => request.respond(200), { maxMessage: 1000 });
    await fake.feed(head.replace('Length: 2', 'Length: 2000'));
    expect(fake.connection.output).toMatch(/^HTTP\/1.1 413 /);
  });

  test('comes after the answer to the request before', async () => {
    const fake = server(async request => {
      await setImmediate();
      request.respond(200);
    });
    await fake.feed(`GET / HTTP/1.1\r\nHost: x\r\n\r\n${head}`);
    expect(fake.connection.output).toMatch(/^HTTP\/1.1 200 OK\r\n(.+\r\n)+\r\nHTTP\/1.1 100 Continue\r\n\r\n$/);
  });
});

test('a request is over with its handler', async () => {
  const kept: HttpRequest[] = [];
  const fake = server(request => {
    kept.push(request);
    request.respond(200);
  });
  await fake.feed('GET /x HTTP/1.1\r\nHost: x\r\n\r\n');
  const [request] = kept;
  expect(request?.target).toBe('/x');
  for (const use of [
    () => request?.header('host'),
    () => request?.rawHeaders,
    () => request?.body,
    () => request?.respond(200),
  ]) {
    expect(thrown(use)).toMatchObject({ code: 'ERR_INVALID_STATE' });
  }
});
