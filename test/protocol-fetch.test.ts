/** fetchHandler(): applications that take a Request and give a Response, Hono among them, upon http(). */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { fetchHandler, http } from 'epoll-pool/worker';
import { Hono } from 'hono';
import { streamText } from 'hono/streaming';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type FakeOptions, FakeServer } from './support/protocol.ts';
import { thrown, within } from './support/within.ts';

type Fetch = Parameters<typeof fetchHandler>[0];

const serve = (fetch: Fetch, options?: FakeOptions) => new FakeServer(http(), fetchHandler(fetch), options);

/** Output without its dates. */
const told = (server: ReturnType<typeof serve>) => server.connection.output.replaceAll(/date: .*\r\n/g, '');

async function answer(fetch: Fetch, text = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', options?: FakeOptions) {
  const server = serve(fetch, options);
  await within(server.feed(Buffer.from(text, 'latin1')));
  return { output: told(server), outcome: server.outcome, error: server.error };
}

/** What the application sees. */
async function seen<T>(text: string, look: (request: Request) => T | Promise<T>, options?: FakeOptions): Promise<T> {
  const found: T[] = [];
  const { error, output } = await answer(
    async request => {
      found.push(await look(request));
      return new Response();
    },
    text,
    options,
  );
  expect({ error, status: output.slice(9, 12) }).toEqual({ error: undefined, status: '200' });
  if (found.length !== 1) throw new Error(`seen ${found.length} times`);
  return found[0] as T;
}

const until = async (condition: () => boolean) => {
  await within(
    (async () => {
      while (!condition()) await sleep(1);
    })(),
  );
};

/** A body that is given piece by piece, by hand. */
class Hand {
  readonly body: ReadableStream<Uint8Array>;
  pulls = 0;
  cancelled = false;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor() {
    this.body = new ReadableStream({
      start: controller => {
        this.#controller = controller;
      },
      pull: () => {
        this.pulls++;
      },
      cancel: () => {
        this.cancelled = true;
      },
    });
  }

  give(text: string): void {
    this.#controller?.enqueue(Buffer.from(text));
  }

  end(): void {
    this.#controller?.close();
  }

  fail(error: Error): void {
    this.#controller?.error(error);
  }
}

describe('the Request', () => {
  const tls = { alpn: undefined, servername: undefined, peerCertificate: undefined };
  test.each<[string, FakeOptions | undefined, string]>([
    ['GET /a?b=c HTTP/1.1\r\nHost: example.com:8080', undefined, 'http://example.com:8080/a?b=c'],
    ['GET /a?b=c HTTP/1.1\r\nHost: example.com', { tls }, 'https://example.com/a?b=c'],
    ['GET //other/x HTTP/1.1\r\nHost: example.com', undefined, 'http://example.com//other/x'],
    ['GET http://other:81/x HTTP/1.1\r\nHost: example.com', undefined, 'http://other:81/x'],
    ['OPTIONS * HTTP/1.1\r\nHost: [::1]:80', undefined, 'http://[::1]/*'],
    ['GET / HTTP/1.0', undefined, 'http://localhost/'],
  ])('%j: its url', async (line, options, url) => {
    expect(await seen(`${line}\r\n\r\n`, request => request.url, options)).toBe(url);
  });

  test('method, headers and body', async () => {
    const text =
      'PUT / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a: 2\r\nLatin: \xe9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
    const found = await seen(text, async request => ({
      method: request.method,
      a: request.headers.get('x-a'),
      latin: request.headers.get('latin'),
      host: request.headers.get('host'),
      body: await request.clone().text(),
      bytes: (await request.arrayBuffer()).byteLength,
      kind: request instanceof Request,
      copy: await new Request(request.url, { method: 'POST', body: 'x', headers: request.headers }).text(),
    }));
    expect(found).toEqual({
      method: 'PUT',
      a: '1, 2',
      latin: 'é',
      host: 'x',
      body: 'hello',
      bytes: 5,
      kind: true,
      copy: 'x',
    });
  });

  test('its body outlives the handler', async () => {
    const requests: Request[] = [];
    const bytes = Buffer.from('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello');
    const server = serve(request => {
      requests.push(request);
      return new Response();
    });
    await server.feed(bytes);
    server.overwrite();
    expect(await requests[0]?.text()).toBe('hello');
  });

  test('a body of GET is left out, as fetch has it', async () => {
    expect(await seen('GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na', request => request.body)).toBeNull();
  });

  test.each(['PATCH', 'foo', 'QUERY', 'GETS'])('%s is given as it came', async method => {
    expect(await seen(`${method} / HTTP/1.1\r\nHost: x\r\n\r\n`, request => request.method)).toBe(method);
  });

  test.each([
    ['a Host that is no host', 'GET / HTTP/1.1\r\nHost: x:y:z', 400],
    ['a target that is no URL', 'GET http://[x/ HTTP/1.1\r\nHost: x', 400],
    ['TRACE, which fetch does not know', 'TRACE / HTTP/1.1\r\nHost: x', 501],
    ['connect, which is not CONNECT, and fetch does not know', 'connect / HTTP/1.1\r\nHost: x', 501],
    ['get, of which fetch would make GET', 'get / HTTP/1.1\r\nHost: x', 501],
    ['a body of get, which fetch would refuse', 'get / HTTP/1.1\r\nHost: x\r\nContent-Length: 1', 501],
    ['Post, of which fetch would make POST', 'Post / HTTP/1.1\r\nHost: x', 501],
  ])('there is none for %s', async (_, line, status) => {
    const { output, error } = await answer(
      () => {
        throw new Error('called');
      },
      `${line}\r\n\r\n${line.includes('Length') ? 'a' : ''}`,
    );
    expect({ status: Number(output.slice(9, 12)), error }).toEqual({ status, error: undefined });
  });
});

describe('a Response that is there at once', () => {
  test.each<[string, () => Response | Promise<Response>, string]>([
    [
      'a string',
      () => new Response('hello'),
      '200 OK\r\ncontent-type: text/plain;charset=UTF-8\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello',
    ],
    [
      'JSON',
      async () => Response.json({ a: '€' }, { status: 201 }),
      '201 Created\r\ncontent-type: application/json\r\ncontent-length: 11\r\nconnection: keep-alive\r\n\r\n{"a":"\xe2\x82\xac"}',
    ],
    [
      'bytes',
      () => new Response(Uint8Array.of(0, 255)),
      '200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\n\0\xff',
    ],
    [
      'nothing',
      () => new Response(null, { status: 404 }),
      '404 Not Found\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n',
    ],
    [
      'an empty string',
      () => new Response('', { headers: { 'content-type': 'a/b' } }),
      '200 OK\r\ncontent-type: a/b\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n',
    ],
    [
      'an empty stream',
      () => new Response(new ReadableStream({ start: c => c.close() })),
      '200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n',
    ],
    ['204', () => new Response(null, { status: 204 }), '204 No Content\r\nconnection: keep-alive\r\n\r\n'],
    [
      'a redirect',
      () => Response.redirect('http://x/y', 302),
      '302 Found\r\nlocation: http://x/y\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n',
    ],
    [
      'cookies and others',
      () =>
        new Response(null, {
          headers: [
            ['set-cookie', 'a=1'],
            ['x', '1'],
            ['set-cookie', 'b=2'],
            ['x', '2'],
            ['__proto__', 'p'],
            ['set-cookie', 'c'],
          ],
        }),
      '200 OK\r\n__proto__: p\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nset-cookie: c\r\nx: 1, 2\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n',
    ],
    [
      'what concerns another connection',
      () =>
        new Response('x', {
          headers: {
            'transfer-encoding': 'chunked',
            'keep-alive': 'timeout=5',
            'content-length': '7',
            connection: 'keep-alive',
            'content-type': 'a/b',
          },
        }),
      '200 OK\r\ncontent-type: a/b\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\nx',
    ],
  ])('%s', async (_, make, expected) => {
    const { output, outcome, error } = await answer(make);
    expect({ output, outcome, error }).toEqual({ output: `HTTP/1.1 ${expected}`, outcome: 'open', error: undefined });
  });

  test('it may end the connection', async () => {
    const { output, outcome } = await answer(() => new Response('x', { headers: { connection: 'close' } }));
    expect(output).toContain('connection: close\r\n\r\nx');
    expect(outcome).toBe('end');
  });

  test('HEAD has no body, but the length that the application says', async () => {
    const head = 'HEAD / HTTP/1.1\r\nHost: x\r\n\r\n';
    const hand = new Hand();
    const stream = await answer(() => new Response(hand.body, { headers: { 'content-length': '9' } }), head);
    expect(stream.output).toBe('HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: keep-alive\r\n\r\n');
    expect(hand.cancelled).toBe(true);
    // Two of another server's, say: nothing to tell, as in the answer to a GET.
    const none = await answer(() => new Response(null, { headers: { 'content-length': '5, 5' } }), head);
    expect(none).toMatchObject({ output: 'HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n\r\n', error: undefined });
    const text = await answer(() => new Response('hello'), head);
    expect(text.output).toBe(
      'HTTP/1.1 200 OK\r\ncontent-type: text/plain;charset=UTF-8\r\nconnection: keep-alive\r\n\r\n',
    );
  });
});

describe('a streamed body', () => {
  test('is sent in chunks as it comes', async () => {
    const hand = new Hand();
    const server = serve(() => new Response(hand.body));
    const fed = server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    hand.give('hello');
    const head = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n';
    await until(() => told(server) === `${head}5\r\nhello\r\n`);
    hand.give('');
    hand.give('x'.repeat(17));
    await until(() => told(server) === `${head}5\r\nhello\r\n11\r\n${'x'.repeat(17)}\r\n`);
    hand.end();
    await within(fed);
    expect(told(server)).toBe(`${head}5\r\nhello\r\n11\r\n${'x'.repeat(17)}\r\n0\r\n\r\n`);
    expect(server.outcome).toBe('open');
    await server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n'); // the body has been used: it is the application's fault
    expect(server.outcome).toBe('handler');
  });

  test('that says nothing yet has its head sent all the same', async () => {
    const hand = new Hand();
    const server = serve(() => new Response(hand.body, { headers: { 'content-type': 'text/event-stream' } }));
    const fed = server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const head =
      'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n';
    await until(() => told(server) === head);
    hand.give('late');
    hand.end();
    await within(fed);
    expect(told(server)).toBe(`${head}4\r\nlate\r\n0\r\n\r\n`);
    expect(server.outcome).toBe('open');
  });

  test('that fails before its first piece is a 500', async () => {
    const failure = new Error('none');
    const fails = [
      (controller: ReadableStreamDefaultController) => controller.error(failure),
      async () => {
        await setImmediate();
        throw failure;
      },
    ];
    for (const start of fails) {
      const { output, error, outcome } = await answer(() => new Response(new ReadableStream({ start })));
      expect(output).toMatch(/^HTTP\/1.1 500 /);
      expect({ error, outcome }).toEqual({ error: failure, outcome: 'handler' });
    }
  });

  test('ends with the connection in HTTP/1.0', async () => {
    const hand = new Hand();
    const server = serve(() => new Response(hand.body));
    const fed = server.feed('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    hand.give('a');
    await until(() => told(server).endsWith('a'));
    hand.give('b');
    hand.end();
    await within(fed);
    expect(told(server)).toBe('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nab');
    expect(server.outcome).toBe('end');
  });

  test('has its length where the application says it', async () => {
    const give = async (pieces: string[]) => {
      const hand = new Hand();
      const server = serve(() => new Response(hand.body, { headers: { 'content-length': '4' } }));
      const fed = server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      for (const piece of pieces) hand.give(piece);
      await setImmediate();
      if (!hand.cancelled) hand.end();
      await within(fed);
      return {
        output: told(server),
        outcome: server.outcome,
        ending: server.connection.ending,
        cancelled: hand.cancelled,
      };
    };
    const head = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: keep-alive\r\n\r\n';
    expect(await give(['ab', 'cd'])).toEqual({
      output: `${head}abcd`,
      outcome: 'open',
      ending: undefined,
      cancelled: false,
    });
    // A length that is not kept to leaves the client nothing to go by: the connection is ended.
    expect(await give(['ab', 'c'])).toMatchObject({ output: `${head}abc`, outcome: 'handler', ending: 'destroy' });
    expect(await give(['ab', 'cde'])).toMatchObject({ output: `${head}ab`, outcome: 'handler', ending: 'destroy' });
  });

  test('waits while much is kept for the client', async () => {
    const hand = new Hand();
    const server = serve(() => new Response(hand.body));
    const { connection } = server;
    const fed = server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    hand.give('first');
    await until(() => told(server).includes('first'));
    connection.pending = 70_000;
    hand.give('second');
    await until(() => told(server).includes('second'));
    hand.give('third');
    const { pulls } = hand;
    await sleep(50);
    expect(told(server)).not.toContain('third');
    expect(hand.pulls).toBe(pulls);
    connection.pending = 0;
    await until(() => told(server).includes('third'));
    hand.end();
    await within(fed);
    expect(server.outcome).toBe('open');
  });

  test('costs little while the client takes nothing', async () => {
    const hand = new Hand();
    const server = serve(() => new Response(hand.body));
    let pending = 100_000;
    let looks = 0;
    Object.defineProperty(server.connection, 'pending', {
      get() {
        looks++;
        return pending;
      },
    });
    const fed = server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    hand.give('first');
    await until(() => told(server).includes('first'));
    await sleep(600);
    expect(looks).toBeLessThan(20);
    // One that takes a little is looked at more often.
    looks = 0;
    for (const end = performance.now() + 600; performance.now() < end; pending -= 10) await sleep(5);
    expect(looks).toBeGreaterThan(20);
    pending = 0;
    hand.end();
    await within(fed);
    expect(server.outcome).toBe('open');
  });

  test.each<[string, (bytes: Buffer) => ConstructorParameters<typeof Response>[0], string]>([
    ['bytes that are there at once', bytes => bytes, 'content-length: 200000'],
    [
      'a piece of a stream',
      bytes => new ReadableStream({ start: c => c.enqueue(bytes), pull: c => c.close() }, { highWaterMark: 0 }),
      'content-length: 200000',
    ],
    [
      'a piece of a stream with more to come',
      bytes => {
        const pieces = [bytes, Buffer.from('more')];
        return new ReadableStream({
          async pull(c) {
            await setImmediate();
            const piece = pieces.shift();
            if (piece) c.enqueue(piece);
            else c.close();
          },
        });
      },
      'transfer-encoding: chunked',
    ],
  ])('in parts that may be kept, however long it is: %s', async (_, make, framing) => {
    const bytes = Buffer.alloc(200_000, 'abcdefghijk');
    const server = serve(() => new Response(make(bytes)));
    const { connection } = server;
    connection.pending = 70_000;
    const fed = server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const given = () => connection.sent.reduce((sum, { length }) => sum + length, 0);
    await until(() => given() > 60_000);
    await sleep(50);
    expect(given()).toBeLessThan(70_000);
    connection.pending = 0;
    await within(fed);
    expect(server.outcome).toBe('open');
    const [head = '', ...rest] = connection.output.split('\r\n\r\n');
    expect(head).toContain(framing);
    const body = rest.join('\r\n\r\n').replaceAll(/(^|\r\n)[\da-f]+(\r\n|$)/g, '');
    expect(body.startsWith(bytes.toString())).toBe(true);
  });

  test('that fails breaks the answer off, and is an error', async () => {
    const hand = new Hand();
    const server = serve(() => new Response(hand.body));
    const fed = server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    hand.give('a');
    await until(() => told(server).includes('1\r\na\r\n'));
    const failure = new Error('no more');
    hand.fail(failure);
    await within(fed);
    expect(told(server)).not.toContain('0\r\n\r\n');
    expect({ outcome: server.outcome, ending: server.connection.ending, error: server.error }).toEqual({
      outcome: 'handler',
      ending: 'destroy',
      error: failure,
    });
  });

  test('must be made of bytes', async () => {
    const body = new ReadableStream({ start: c => c.enqueue('text') });
    const { output, error, outcome } = await answer(() => new Response(body));
    expect(output).toMatch(/^HTTP\/1.1 500 /);
    expect({ error, outcome }).toMatchObject({ error: { code: 'ERR_INVALID_ARG_TYPE' }, outcome: 'handler' });
  });
});

describe('a client that goes away', () => {
  test('ends the body, whether the stream is at work or not, and is no error', async () => {
    const hand = new Hand();
    const server = serve(() => new Response(hand.body));
    const fed = server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    hand.give('a');
    await until(() => told(server).includes('1\r\na\r\n'));
    server.leave();
    await within(fed);
    expect({ cancelled: hand.cancelled, error: server.error }).toEqual({ cancelled: true, error: undefined });
  });

  test('ends a body that waits for it', async () => {
    const hand = new Hand();
    const server = serve(() => new Response(hand.body));
    const fed = server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    server.connection.pending = 100_000;
    hand.give('a');
    await until(() => told(server).includes('1\r\na\r\n'));
    hand.give('b');
    server.leave();
    await within(fed);
    expect(hand.cancelled).toBe(true);
  });

  test('by its own end alone, ends a body of which nothing comes for 10 s: nobody may be there', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const hand = new Hand();
    const server = serve(() => new Response(hand.body));
    const { connection } = server;
    const fed = server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const comes = async (text: string) => {
      hand.give(text);
      for (let turns = 0; !told(server).includes(`\r\n${text}\r\n`); turns++) {
        if (turns > 1000) throw new Error('not sent');
        await setImmediate();
      }
    };
    await comes('before');
    server.leave(false);
    await vi.advanceTimersByTimeAsync(9000);
    await comes('in time');
    await vi.advanceTimersByTimeAsync(9000);
    // While some of it is kept, the kernel finds out whether somebody takes it.
    connection.pending = 10;
    await vi.advanceTimersByTimeAsync(30_000);
    connection.pending = 0;
    expect({ cancelled: hand.cancelled, ending: connection.ending }).toEqual({ cancelled: false, ending: undefined });
    await comes('still');
    await vi.advanceTimersByTimeAsync(9990);
    expect(hand.cancelled).toBe(false);
    await vi.advanceTimersByTimeAsync(20);
    await within(fed);
    expect({ cancelled: hand.cancelled, ending: connection.ending, error: server.error }).toEqual({
      cancelled: true,
      ending: 'destroy',
      error: undefined,
    });
    expect(told(server)).not.toContain('0\r\n\r\n');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('by its own end alone, does not stop a body that comes to its end', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const hand = new Hand();
    const server = serve(() => new Response(hand.body));
    const fed = server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    server.leave(false);
    hand.give('all');
    await setImmediate();
    hand.end();
    await fed;
    await vi.advanceTimersByTimeAsync(60_000);
    expect({ cancelled: hand.cancelled, outcome: server.outcome }).toEqual({ cancelled: false, outcome: 'open' });
    expect(told(server)).toMatch(/all(\r\n0\r\n\r\n)?$/);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("aborts the request's signal, and what comes of that is no error", async () => {
    const signals: AbortSignal[] = [];
    const server = serve(async request => {
      signals.push(request.signal);
      await sleep(60_000, undefined, { signal: request.signal });
      return new Response('late');
    });
    const fed = server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => signals.length > 0);
    expect(signals[0]?.aborted).toBe(false);
    server.leave();
    await within(fed);
    expect(signals[0]?.aborted).toBe(true);
    expect({ error: server.error, output: told(server) }).toEqual({ error: undefined, output: '' });
  });

  test('aborts the signals of copies of the request', async () => {
    const copies: Request[] = [];
    const server = serve(async request => {
      const copy = request.clone();
      copies.push(copy, copy.clone(), new Request('http://other/', request));
      await sleep(60_000, undefined, { signal: request.signal });
      return new Response('late');
    });
    const fed = server.feed('POST /a HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello');
    await until(() => copies.length > 0);
    expect(copies.map(({ signal }) => signal.aborted)).toEqual([false, false, false]);
    server.leave();
    await within(fed);
    expect(copies.map(({ signal }) => signal.aborted)).toEqual([true, true, true]);
    const [copy] = copies;
    expect([copy?.method, copy?.url, copy?.headers.get('x-a')]).toEqual(['POST', 'http://x/a', '1']);
    expect(await copies[1]?.text()).toBe('hello');
  });

  test('a signal that is asked for late says so too', async () => {
    const late: boolean[] = [];
    let goOn = () => {};
    const server = serve(async request => {
      await new Promise<void>(resolve => {
        goOn = resolve;
      });
      late.push(request.signal.aborted);
      throw new Error('another');
    });
    const fed = server.feed('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await setImmediate();
    server.leave();
    goOn();
    await within(fed);
    expect(late).toEqual([true]);
    expect(server.error).toMatchObject({ message: 'another' });
  });
});

test('a throw, or what is no Response, is a 500 and an error', async () => {
  const error = new Error('no');
  const bad: Array<[unknown, () => unknown]> = [
    [error, () => Promise.reject(error)],
    [
      error,
      () => {
        throw error;
      },
    ],
    [{ code: 'ERR_INVALID_ARG_TYPE' }, () => undefined],
    [{ code: 'ERR_INVALID_ARG_TYPE' }, () => 'text'],
    [{ code: 'ERR_OUT_OF_RANGE' }, () => Response.error()],
  ];
  for (const [expected, fetch] of bad) {
    const found = await answer((...args) => Reflect.apply(fetch, undefined, args));
    expect(found).toMatchObject({ error: expected, outcome: 'handler' });
    expect(found.output).toBe('HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
  }
});

test('arguments are checked', async () => {
  for (const fetch of [undefined, null, 'text', { fetch: () => new Response() }]) {
    expect(thrown(() => Reflect.apply(fetchHandler, undefined, [fetch]))).toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
    });
  }
  const { connection } = serve(() => new Response());
  await expect(
    Reflect.apply(
      fetchHandler(() => new Response()),
      undefined,
      [Buffer.from('x'), connection],
    ),
  ).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE',
  });
});

describe('Hono', () => {
  const app = new Hono();
  app.get('/', c => c.text('hello'));
  app.get('/users/:id', c => c.json({ id: c.req.param('id'), q: c.req.query('q') }));
  app.post('/echo', async c =>
    c.body(await c.req.arrayBuffer(), 200, { 'x-type': c.req.header('content-type') ?? '' }),
  );
  app.get('/stream', c =>
    streamText(c, async stream => {
      for (const word of ['one', 'two']) {
        await stream.write(word);
        await stream.sleep(2);
      }
    }),
  );
  app.get('/throw', () => {
    throw new Error('no');
  });
  app.onError((_, c) => c.text('sorry', 500));

  const ask = async (line: string, body = '') => {
    const length = body === '' ? '' : `Content-Length: ${body.length}\r\nContent-Type: a/b\r\n`;
    const { output, outcome, error } = await answer(app.fetch, `${line} HTTP/1.1\r\nHost: x\r\n${length}\r\n${body}`);
    expect({ outcome, error }).toEqual({ outcome: 'open', error: undefined });
    const [head = '', ...rest] = output.split('\r\n\r\n');
    return { status: Number(head.slice(9, 12)), head, body: rest.join('\r\n\r\n') };
  };

  test('runs upon it', async () => {
    expect(await ask('GET /')).toMatchObject({ status: 200, body: 'hello' });
    expect(await ask('GET /users/7?q=a%20b')).toMatchObject({ status: 200, body: '{"id":"7","q":"a b"}' });
    expect(await ask('GET /nowhere')).toMatchObject({ status: 404, body: '404 Not Found' });
    expect(await ask('GET /throw')).toMatchObject({ status: 500, body: 'sorry' });
    expect(await ask('HEAD /')).toMatchObject({ status: 200, body: '' });
    const echo = await ask('POST /echo', 'abc');
    expect(echo).toMatchObject({ status: 200, body: 'abc' });
    expect(echo.head).toContain('\r\nx-type: a/b\r\n');
    expect(await ask('GET /stream')).toMatchObject({ status: 200, body: '3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n' });
  });
});
