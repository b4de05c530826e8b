/** http(): answers, byte for byte; what is wrong throws and leaves the request unanswered. */
import { type HttpRequest, http } from 'epoll-pool/worker';
import { describe, expect, test, vi } from 'vitest';
import { type FakeConnection, FakeServer, type Outcome } from './support/protocol.ts';
import { thrown } from './support/within.ts';

type Arguments = Parameters<HttpRequest['respond']>;
interface Answer {
  readonly output: string;
  readonly outcome: Outcome;
  readonly connection: FakeConnection;
}

async function answer(
  line: string,
  handler: (request: HttpRequest) => void | Promise<void>,
  options?: Parameters<typeof http>[0],
): Promise<Answer> {
  const server = new FakeServer(http(options), handler);
  await server.feed(`${line}\r\nHost: x\r\n\r\n`);
  return {
    output: server.connection.output.replace(/date: (.*)\r\n/, 'date\r\n'),
    outcome: server.outcome,
    connection: server.connection,
  };
}
const respond = (...args: Arguments) => answer('GET / HTTP/1.1', request => request.respond(...args));

describe('bodies', () => {
  test.each<[string, Arguments, string]>([
    ['none', [200], 'HTTP/1.1 200 OK\r\ndate\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n'],
    [
      'a string',
      [200, {}, 'hello'],
      'HTTP/1.1 200 OK\r\ndate\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello',
    ],
    [
      'UTF-8',
      [201, undefined, '€'],
      'HTTP/1.1 201 Created\r\ndate\r\ncontent-length: 3\r\nconnection: keep-alive\r\n\r\n\xe2\x82\xac',
    ],
    [
      'bytes',
      [404, {}, Uint8Array.of(0, 255)],
      'HTTP/1.1 404 Not Found\r\ndate\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\n\0\xff',
    ],
    [
      'an unknown status',
      [599, {}, ''],
      'HTTP/1.1 599 \r\ndate\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n',
    ],
    ['204', [204, {}, 'x'], 'HTTP/1.1 204 No Content\r\ndate\r\nconnection: keep-alive\r\n\r\n'],
    [
      '304',
      [304, { etag: '"a"' }, 'x'],
      'HTTP/1.1 304 Not Modified\r\netag: "a"\r\ndate\r\nconnection: keep-alive\r\n\r\n',
    ],
    [
      '304 with a length',
      [304, { 'content-length': '7' }],
      'HTTP/1.1 304 Not Modified\r\ndate\r\ncontent-length: 7\r\nconnection: keep-alive\r\n\r\n',
    ],
    [
      '204 with a length',
      [204, { 'content-length': '7' }],
      'HTTP/1.1 204 No Content\r\ndate\r\nconnection: keep-alive\r\n\r\n',
    ],
  ])('%s', async (_, args, expected) => {
    const { output, connection } = await respond(...args);
    expect(output).toBe(expected);
    expect(connection.sent).toHaveLength(1);
  });

  test.each<[Arguments, string]>([
    [[200, {}, 'hello'], 'content-length: 5\r\n'],
    [[200, { 'content-length': '9' }], 'content-length: 9\r\n'],
    [[200, { 'content-length': '9' }, 'hello'], 'content-length: 9\r\n'],
    [[200], ''],
  ])('none for HEAD, with the length that there would be: %j', async (args, length) => {
    const { output } = await answer('HEAD / HTTP/1.1', request => request.respond(...args));
    expect(output).toBe(`HTTP/1.1 200 OK\r\ndate\r\n${length}connection: keep-alive\r\n\r\n`);
  });

  test('large ones, strings and bytes', async () => {
    for (const body of ['€'.repeat(50_000), Buffer.alloc(200_000, 'abc'), '€'.repeat(3000)]) {
      const { output } = await respond(200, { a: '\xe9' }, body);
      const [head, ...rest] = output.split('\r\n\r\n');
      const bytes = Buffer.from(body);
      expect(head).toBe(
        `HTTP/1.1 200 OK\r\na: \xe9\r\ndate\r\ncontent-length: ${bytes.length}\r\nconnection: keep-alive`,
      );
      expect(Buffer.from(rest.join('\r\n\r\n'), 'latin1').equals(bytes)).toBe(true);
    }
  });
});

describe('headers', () => {
  test('as given, several values in lines of their own', async () => {
    const headers = {
      'X-A': '1',
      'set-cookie': ['a=1', 'b=2'],
      none: [],
      empty: '',
      latin: '\xe9\t ',
    };
    const { output } = await respond(200, headers, 'é');
    expect(output).toBe(
      'HTTP/1.1 200 OK\r\nX-A: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nempty: \r\nlatin: \xe9\t \r\ndate\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\n\xc3\xa9',
    );
  });

  test('date is now, to the second', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      for (const at of [
        '2031-05-06T07:08:09.000Z',
        '2031-05-06T07:08:09.999Z',
        '2031-05-06T07:08:10.000Z',
        '2031-05-06T07:08:08.500Z',
      ]) {
        vi.setSystemTime(new Date(at));
        const server = new FakeServer(http(), request => request.respond(200));
        await server.feed('GET / HTTP/1.0\r\n\r\n');
        expect(server.connection.output).toContain(`\r\ndate: ${new Date(at).toUTCString()}\r\n`);
      }
    } finally {
      vi.useRealTimers();
    }
  });

  test('date and server may be the application’s', async () => {
    const server = { server: 'mine/1' };
    const plain = await answer('GET / HTTP/1.1', request => request.respond(200), server);
    expect(plain.output).toBe(
      'HTTP/1.1 200 OK\r\ndate\r\nserver: mine/1\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n',
    );
    const given = await answer('GET / HTTP/1.1', request => request.respond(200, { Server: 'b', Date: 'c' }), server);
    expect(given.output).toBe(
      'HTTP/1.1 200 OK\r\nServer: b\r\nDate: c\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n',
    );
    const latin = await answer('GET / HTTP/1.1', request => request.respond(200, {}, 'x'), { server: 'é' });
    expect(latin.output).toContain('server: \xe9\r\n');
  });

  test('content-length may be said if it is true', async () => {
    expect((await respond(200, { 'Content-Length': '5' }, 'hello')).output).toBe(
      'HTTP/1.1 200 OK\r\ndate\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello',
    );
  });
});

describe('the connection', () => {
  const closes = 'HTTP/1.1 200 OK\r\ndate\r\ncontent-length: 0\r\nconnection: close\r\n\r\n';
  const stays = closes.replace('close', 'keep-alive');
  test.each<[string, Arguments, string]>([
    ['GET / HTTP/1.1', [200], stays],
    ['GET / HTTP/1.1\r\nConnection: close', [200], closes],
    ['GET / HTTP/1.0', [200], closes],
    ['GET / HTTP/1.0\r\nConnection: keep-alive', [200], stays],
    ['GET / HTTP/1.1', [200, { connection: 'close' }], closes],
    ['GET / HTTP/1.1', [200, { Connection: ['x', ' Close'] }], closes],
    ['GET / HTTP/1.1', [200, { connection: 'keep-alive' }], stays],
    ['GET / HTTP/1.0', [200, { connection: 'keep-alive' }], closes],
  ])('%j %j', async (line, args, expected) => {
    const { output, outcome } = await answer(line, request => request.respond(...args));
    expect({ output, outcome }).toEqual({ output: expected, outcome: expected === closes ? 'end' : 'open' });
  });
});

describe('what is wrong', () => {
  const cases: Array<[code: string, args: unknown[]]> = [
    ['ERR_INVALID_ARG_TYPE', ['200']],
    ['ERR_INVALID_ARG_TYPE', []],
    ...[199, 600, 101, 0, -1, 200.5, Number.NaN].map((status): [string, unknown[]] => ['ERR_OUT_OF_RANGE', [status]]),
    ...[null, 'a: b', 1, [['a', 'b']], new Map([['a', 'b']])].map((headers): [string, unknown[]] => [
      'ERR_INVALID_ARG_TYPE',
      [200, headers],
    ]),
    ...['', 'a b', 'a:', 'é', 'a\r\nb'].map((name): [string, unknown[]] => [
      'ERR_INVALID_HTTP_TOKEN',
      [200, { [name]: 'x' }],
    ]),
    ...['a\r\nb: c', 'a\n', '\0', '\x7f', '€'].map((value): [string, unknown[]] => [
      'ERR_INVALID_CHAR',
      [200, { a: value }],
    ]),
    ['ERR_INVALID_CHAR', [200, { a: ['x', 'y\rz'] }]],
    ['ERR_INVALID_CHAR', [200, { connection: 'close\r\nx: y' }]],
    ...[1, null, undefined, {}, ['a', 1]].map((value): [string, unknown[]] => [
      'ERR_INVALID_ARG_TYPE',
      [200, { a: value }],
    ]),
    ...['6', '-1', '', '5.0', ['5', '5']].map((value): [string, unknown[]] => [
      'ERR_OUT_OF_RANGE',
      [200, { 'content-length': value }, 'hello'],
    ]),
    ['ERR_OUT_OF_RANGE', [200, { 'Transfer-Encoding': 'chunked' }, 'hello']],
    ...[1, null, {}, [1], new ArrayBuffer(1), new Uint16Array(1)].map((body): [string, unknown[]] => [
      'ERR_INVALID_ARG_TYPE',
      [200, {}, body],
    ]),
  ];
  test.each(cases)('%s: %j', async (code, args) => {
    const { output } = await answer('GET / HTTP/1.1', request => {
      const error = thrown(() => Reflect.apply(request.respond, request, args));
      expect(error).toMatchObject({ name: code === 'ERR_OUT_OF_RANGE' ? 'RangeError' : 'TypeError', code });
      request.respond(200, {}, 'after');
    });
    expect(output).toMatch(/^HTTP\/1.1 200 OK\r\n.*after$/s);
  });

  test('a second answer', async () => {
    const { output } = await answer('GET / HTTP/1.1', request => {
      request.respond(200, {}, 'one');
      expect(thrown(() => request.respond(200, {}, 'two'))).toMatchObject({ code: 'ERR_INVALID_STATE' });
    });
    expect(output).toMatch(/one$/);
  });

  test('an answer to nobody is no error', async () => {
    const server = new FakeServer(http(), (request, connection) => {
      connection.destroy();
      request.respond(200);
    });
    await server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect({ output: server.connection.output, outcome: server.outcome }).toEqual({ output: '', outcome: 'destroy' });
  });
});

describe('a handler that', () => {
  const internal = (connection: string) =>
    `HTTP/1.1 500 Internal Server Error\r\ndate\r\ncontent-length: 0\r\nconnection: ${connection}\r\n\r\n`;

  test('throws or rejects: 500, and the end', async () => {
    for (const handler of [
      () => {
        throw new Error('no');
      },
      async () => {
        throw new Error('no');
      },
    ]) {
      const { output, outcome } = await answer('GET / HTTP/1.1', handler);
      expect({ output, outcome }).toEqual({ output: internal('close'), outcome: 'handler' });
    }
  });

  test('throws after its answer: nothing more', async () => {
    const { output, outcome } = await answer('GET / HTTP/1.1', request => {
      request.respond(200, {}, 'sent');
      throw new Error('no');
    });
    expect(output).toMatch(/^HTTP\/1.1 200 OK\r\n.*sent$/s);
    expect(outcome).toBe('handler');
  });

  test('ends without an answer: 500, one warning, and the connection goes on', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    try {
      for (const handler of [() => {}, async () => {}]) {
        const { output, outcome } = await answer('GET / HTTP/1.1', handler);
        expect({ output, outcome }).toEqual({ output: internal('keep-alive'), outcome: 'open' });
      }
      expect(warnings).toHaveBeenCalledTimes(1);
      expect(warnings.mock.lastCall?.[0]).toContain('without respond()');
    } finally {
      warnings.mockRestore();
    }
  });
});
