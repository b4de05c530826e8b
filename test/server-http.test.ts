/** http() and fetchHandler() served: requests over real sockets, with time-outs, refusals, ends, and clients that go away. */

import * as http from 'node:http';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { client, type Served, serve, settled } from './support/server.ts';
import { module, until } from './support/service.ts';
import { within } from './support/within.ts';

const WORKER = new URL('../dist/worker/index.js', import.meta.url).href;

/** A module's source has no folder from which the package's name would resolve. */
function file(source: string): string {
  return module(source.replaceAll("'epoll-pool/worker'", `'${WORKER}'`));
}

const HANDLER = `
  import { http } from 'epoll-pool/worker';
  export const protocol = http();
  export function close(connection, reason) { connection.post(reason); }
  const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
  export default request => {
    const { method, target, body } = request;
    if (target === '/throw') throw new Error('thrown');
    if (target === '/nothing') return undefined;
    if (target === '/later') return pause(20).then(() => request.respond(200, {}, 'later'));
    if (target === '/reject') return pause(5).then(() => { throw new Error('rejected'); });
    request.respond(200, { 'x-method': method }, target + ' ' + body);
  };`;

const get = (target: string, head = ''): string => `GET ${target} HTTP/1.1\r\nhost: x\r\n${head}\r\n`;
const bodies = (text: string): string[] =>
  text
    .split('\r\n\r\n')
    .slice(1)
    .map(part => part.split('HTTP/1.1')[0] ?? '');

async function started(options: object = {}): Promise<Served> {
  return await serve({ handler: file(HANDLER), ...options });
}

test("node:http's client: keep-alive, bodies of both kinds", async () => {
  const { port, server } = await started();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  onTestFinished(() => agent.destroy());
  const ask = (i: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const request = http.request({ port, host: '127.0.0.1', agent, method: 'POST', path: `/${i}` }, answer => {
        let text = '';
        answer.on('data', chunk => {
          text += chunk;
        });
        answer.on('end', () => resolve(text));
      });
      request.on('error', reject);
      if (i % 2 === 0) request.setHeader('content-length', i * 100);
      for (let left = i; left > 0; left--) request.write('x'.repeat(100));
      request.end();
    });
  const texts = await within(Promise.all(Array.from({ length: 100 }, (_, i) => ask(i))));
  expect(texts).toEqual(texts.map((_, i) => `/${i} ${'x'.repeat(i * 100)}`));
  // Counted when it has ended, which is after its answer.
  await until(() => server.stats().messages === 100, 'all counted');
  expect(server.stats().accepted).toBe(4);
});

test('pipelined requests, some of them later, in order', async () => {
  const served = await started();
  const peer = await client(served.port);
  peer.write(
    ['/a', '/later', '/b', '/later', '/c'].map(target => get(target)).join('') +
      get('/d', 'connection: close\r\n') +
      get('/e'),
  );
  const text = await peer.all();
  expect(bodies(text)).toEqual(['/a ', 'later', '/b ', 'later', '/c ', '/d ']);
  await settled(served, 1);
  expect(served.closes[0]?.reason).toBe('end');
});

test.each([
  ['/throw', 500, 'thrown'],
  ['/reject', 500, 'rejected'],
])('%s: %i, an error, and the end', async (target, status, message) => {
  const served = await started();
  const peer = await client(served.port);
  peer.write(get('/a') + get(target) + get('/never'));
  const text = await peer.all();
  expect(text.match(/HTTP\/1.1 (\d+)/g)).toEqual(['HTTP/1.1 200', `HTTP/1.1 ${status}`]);
  await settled(served, 1);
  expect(served.errors).toMatchObject([{ error: { message }, id: served.connections[0] }]);
  expect(served.closes[0]?.reason).toBe('handler');
});

test('a handler that ends without an answer: 500', async () => {
  const { port } = await started();
  const peer = await client(port);
  peer.write(get('/nothing'));
  await peer.has('HTTP/1.1 500 ');
});

test.each([
  ['400', 'GET / HTTP/1.1\r\nhost : x\r\n\r\n', 'protocol'],
  ['413', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n', 'too-long'],
  ['413', `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${2 ** 53 - 1}\r\n\r\n`, 'too-long'],
  ['413', `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${'9'.repeat(400)}\r\n\r\n`, 'too-long'],
  ['413', `POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${'f'.repeat(20)}\r\n`, 'too-long'],
  ['431', `GET / HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(20_000)}`, 'protocol'],
  ['501', 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n', 'protocol'],
])('%s, after the answers before it', async (status, text, reason) => {
  const served = await started({ maxMessage: 50_000 });
  const peer = await client(served.port);
  peer.write(get('/a') + text);
  expect((await peer.all()).match(/HTTP\/1.1 (\d+)/g)).toEqual(['HTTP/1.1 200', `HTTP/1.1 ${status}`]);
  await settled(served, 1);
  expect(served.closes[0]?.reason).toBe(reason);
  expect(served.errors).toEqual([]);
});

test('408 in the middle of a request, nothing between requests', async () => {
  const served = await started({ idleTimeout: 200 });
  const [middle, between] = await Promise.all([client(served.port), client(served.port)]);
  middle.write(`${get('/a')}GET /b HTTP/1.1\r\nho`);
  between.write(get('/a'));
  expect((await middle.all()).match(/HTTP\/1.1 (\d+)/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 408']);
  expect((await between.all()).match(/HTTP\/1.1 (\d+)/g)).toEqual(['HTTP/1.1 200']);
  await settled(served, 2);
  expect(served.closes.map(({ reason }) => reason)).toEqual(['idle', 'idle']);
});

test('expect: 100-continue', async () => {
  const { port } = await started();
  const peer = await client(port);
  peer.write('POST /p HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n');
  await peer.has('HTTP/1.1 100 Continue\r\n\r\n');
  peer.write('body');
  await peer.has('/p body');
});

test('fetchHandler(): streams, and learns that its client has gone', async () => {
  const source = `
    import { fetchHandler, http } from 'epoll-pool/worker';
    import { threadId } from 'node:worker_threads';
    export const protocol = http();
    let current;
    export function open(connection) { current = connection; }
    const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
    export default (request, connection) => fetchHandler(async request => {
      const { pathname } = new URL(request.url);
      if (pathname === '/wait') {
        connection.post('waits');
        await new Promise(resolve => request.signal.addEventListener('abort', resolve));
        connection.post('aborted');
        return new Response('late');
      }
      const parts = ['one ', 'two ', await request.text()];
      return new Response(new ReadableStream({
        async pull(controller) { await pause(2); const part = parts.shift(); if (part === undefined) controller.close(); else controller.enqueue(Buffer.from(part)); },
      }), { status: 201, headers: { 'x-url': request.url } });
    })(request, connection);`;
  const served = await serve({ handler: file(source) });
  const answer = await within(fetch(`http://127.0.0.1:${served.port}/stream?q`, { method: 'POST', body: 'three' }));
  expect(answer.status).toBe(201);
  expect(answer.headers.get('x-url')).toBe(`http://127.0.0.1:${served.port}/stream?q`);
  expect(await answer.text()).toBe('one two three');
  const peer = await client(served.port);
  peer.write(get('/wait'));
  await until(() => served.connections.length === 2, 'its connection');
  await until(() => served.messages.length === 1, 'its request');
  peer.reset();
  await until(() => served.messages.length === 2, 'its abort');
  expect(served.messages.map(({ value }) => value)).toEqual(['waits', 'aborted']);
});

test.each([1, 2])(
  'fetchHandler(): event streams that wait for their events count for nothing (%d threads)',
  async threads => {
    const source = `
    import { fetchHandler, http } from 'epoll-pool/worker';
    export const protocol = http();
    const streams = new Set();
    const app = fetchHandler(async request => {
      if (request.url.endsWith('/ask')) return new Response('here');
      if (request.url.endsWith('/tell')) {
        for (const stream of streams) stream.enqueue(Buffer.from('told;'));
        return new Response(String(streams.size));
      }
      let mine;
      const body = new ReadableStream({
        start(controller) { mine = controller; streams.add(mine); mine.enqueue(Buffer.from('first;')); },
        cancel() { streams.delete(mine); },
      });
      return new Response(body, { headers: { 'x-agent': request.headers.get('x-agent') } });
    });
    export default app;
    export function close(connection, reason) { connection.post(reason); }`;
    const served = await serve({ handler: file(source), threads, concurrency: 2 });
    const streams = await Promise.all(Array.from({ length: 24 }, () => client(served.port)));
    for (const [i, peer] of streams.entries()) peer.write(get('/events', `x-agent: ${i}\r\n`));
    for (const [i, peer] of streams.entries()) await peer.has(`x-agent: ${i}\r\n`);
    for (const peer of streams) await peer.has('first;');
    const other = await client(served.port);
    for (let i = 0; i < 20; i++) {
      other.write(get('/ask'));
      await until(() => bodies(other.text).filter(body => body === 'here').length === i + 1, 'an answer');
    }
    // All go on at once, more than may be; then they wait again.
    const before = (): number => streams.reduce((sum, peer) => sum + peer.text.split('told;').length - 1, 0);
    let told = 0;
    for (let i = 0; i < 10; i++) {
      const teller = await client(served.port);
      teller.write(get('/tell', 'connection: close\r\n'));
      told += Number(bodies(await teller.all())[0]);
      await until(() => before() === told, 'the events');
    }
    expect(told).toBeGreaterThan(0);
    if (threads === 1) expect(told).toBe(240);
    for (const peer of streams.slice(12)) peer.socket.destroy();
    other.write(get('/ask'));
    await until(() => bodies(other.text).filter(body => body === 'here').length === 21, 'an answer');
    // Those that wait still end with the server.
    await within(served.server.close({ timeout: 500 }), 5000, 'close()');
  },
);

test('fetchHandler(): a body longer than maxOutput, to a client that reads late', async () => {
  const source = `
    import { fetchHandler, http } from 'epoll-pool/worker';
    export const protocol = http();
    export default fetchHandler(() => new Response(Buffer.alloc(32_000_000, 97)));`;
  const served = await serve({ handler: file(source), maxOutput: 1 << 20 });
  const peer = await client(served.port);
  peer.socket.pause();
  peer.write(get('/', 'connection: close\r\n'));
  await until(() => served.server.stats().bytesKept > 65_536, 'a client that takes no more');
  peer.socket.resume();
  const text = await peer.all();
  expect(text).toContain('content-length: 32000000\r\n');
  expect(text.length - text.indexOf('\r\n\r\n') - 4).toBe(32_000_000);
  await settled(served, 1);
  expect(served.closes.map(({ reason }) => reason)).toEqual(['end']);
});

test('fetchHandler(): a client that ends its side has gone, for the signal; it is answered all the same', async () => {
  const source = `
    import { fetchHandler, http } from 'epoll-pool/worker';
    export const protocol = http();
    export default (request, connection) => fetchHandler(async request => {
      const { pathname } = new URL(request.url);
      const aborted = new Promise(resolve => request.signal.addEventListener('abort', () => { connection.post('aborted'); resolve(); }));
      connection.post('waits');
      if (pathname === '/stream') {
        let left = 3;
        return new Response(new ReadableStream({
          async pull(controller) { await aborted; if (left-- > 0) controller.enqueue(Buffer.from('part ')); else controller.close(); },
        }));
      }
      await aborted;
      if (pathname === '/throw') request.signal.throwIfAborted();
      return new Response('late');
    })(request, connection);`;
  const served = await serve({ handler: file(source) });
  const expected = {
    '/wait': /^HTTP\/1.1 200 .*\r\n\r\nlate$/s,
    '/throw': /^$/,
    '/stream': /(part .*){3}\r\n0\r\n\r\n$/s,
  };
  for (const [target, answer] of Object.entries(expected)) {
    served.messages.length = 0;
    const peer = await client(served.port, true);
    peer.write(get(target));
    await until(() => served.messages.length === 1, 'its request');
    peer.socket.end();
    await until(() => served.messages.length === 2, 'its abort');
    expect(await peer.all()).toMatch(answer);
  }
  const gone = await client(served.port);
  gone.write(get('/wait'));
  await until(() => served.messages.length === 3, 'its request');
  gone.socket.destroy();
  await until(() => served.messages.length === 4, 'its abort');
  await settled(served, 4);
  expect(served.errors).toEqual([]);
});

test("beside node:http's own server: the same answers to the same requests", async () => {
  const { port } = await started();
  const reference = createServer((request, answer) => {
    let body = '';
    request.on('data', chunk => {
      body += chunk;
    });
    request.on('end', () => {
      answer.setHeader('x-method', request.method ?? '');
      answer.end(`${request.url} ${body}`);
    });
  });
  const path = join(tmpdir(), `epoll-pool-http-${process.pid}.sock`);
  reference.listen(path);
  onTestFinished(() => {
    reference.close();
    reference.closeAllConnections();
  });
  const requests = [
    get('/a?b=c'),
    'HEAD /h HTTP/1.1\r\nhost: x\r\n\r\n',
    'POST /p HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc',
    'PUT /c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n',
    'DELETE /d HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
  ].join('');
  const [ours, theirs] = [await client(port), await client(path)];
  ours.write(requests);
  theirs.write(requests);
  const normal = (text: string): string[] =>
    text
      .split('HTTP/1.1 ')
      .slice(1)
      .map(answer => {
        const [head = '', body] = answer.split('\r\n\r\n');
        const lines = head
          .toLowerCase()
          .split('\r\n')
          .filter(line => !/^(date|connection|keep-alive|transfer-encoding|content-length):/.test(line));
        return JSON.stringify([lines.sort(), body]);
      });
  expect(normal(await ours.all())).toEqual(normal(await theirs.all()));
});
