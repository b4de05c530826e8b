/**
 * A load test and the server that it tests count the same requests and the same bytes.
 *
 * @module-tag slow
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LoadOptions, load } from 'epoll-pool/load';
import { expect, onTestFinished, test, vi } from 'vitest';
import { countFds } from './support/fds.ts';
import { type CountingServer, httpServer, OK, rawServer } from './support/load-server.ts';

vi.setConfig({ testTimeout: 60_000 });

const NO_ERRORS = { connect: 0, reset: 0, timeout: 0, protocol: 0, status: 0, check: 0 };

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'epoll-pool-load-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function agrees(result: Awaited<ReturnType<typeof load>>, server: CountingServer): void {
  expect(result.errors).toEqual(NO_ERRORS);
  expect(result).toMatchObject({ requests: server.requests, responses: server.requests, errorCount: 0 });
  expect(result).toMatchObject({ bytesSent: server.bytesReceived, bytesReceived: server.bytesSent });
  expect(result.histogram.count).toBe(server.requests);
  expect(result.threads.reduce((sum, { responses }) => sum + responses, 0)).toBe(server.requests);
  for (const key of ['responses', 'bytes'] as const) {
    const total = result.series[key].reduce((sum, n) => sum + n, 0);
    expect(total).toBe(key === 'bytes' ? server.bytesSent : server.requests);
  }
}

test.each<[string, Omit<LoadOptions, 'url'>]>([
  ['closed loop, by time', { connections: 20, duration: 300 }],
  ['closed loop, by number', { connections: 7, requests: 1003 }],
  ['more connections than requests', { connections: 40, requests: 9 }],
  ['one connection, one thread', { connections: 1, threads: 1, requests: 200 }],
  ['pipelining', { connections: 5, pipelining: 16, requests: 3000 }],
  ['pipelining, by time', { connections: 5, pipelining: 4, duration: 300 }],
  ['open loop', { connections: 10, rate: 500, duration: 400 }],
  ['open loop, by number', { connections: 10, rate: 1000, requests: 150 }],
  ['open loop, pipelining', { connections: 3, rate: 2000, pipelining: 3, requests: 400 }],
  ['more threads than processors', { connections: 30, threads: 6, requests: 2000 }],
])('%s', async (_name, options) => {
  const server = await httpServer();
  const result = await load({ threads: 2, url: server.url, ...options });
  agrees(result, server);
  expect(result.statuses).toEqual({ 200: server.requests });
  if (options.rate !== undefined && options.requests === undefined) expect(server.requests).toBe(200);
  if (options.requests !== undefined) expect(server.requests).toBe(options.requests);
  expect(server.connections).toBe(result.settings.connections);
});

test('responses of every kind: chunked, HEAD-like, 204, 304, 100 before 200, cut anywhere', async () => {
  const kinds = [
    OK,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n',
    `HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(200_000)}`,
  ];
  const server = await httpServer(({ index, socket, reply }) => {
    const answer = kinds[index % kinds.length] ?? OK;
    const cut = (index * 7) % answer.length;
    socket.cork();
    reply(answer.slice(0, cut));
    socket.uncork();
    setImmediate(() => reply(answer.slice(cut)));
  });
  const result = await load({ url: server.url, threads: 2, connections: 8, requests: 240 });
  agrees(result, server);
  expect(result.statuses).toEqual({ 200: 120, 201: 40, 204: 40, 304: 40 });
});

test('HEAD: responses have no body, whatever they announce', async () => {
  const server = await httpServer(({ reply }) => reply('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n'));
  agrees(await load({ url: server.url, method: 'head', connections: 3, requests: 100 }), server);
  expect(server.last.head).toMatch(/^HEAD \/ HTTP\/1.1\r\n/);
});

test('a body of 300 kB, headers, a method, from a file', async () => {
  const server = await httpServer();
  const body = 'é'.repeat(150_000);
  const bodyFile = join(folder(), 'body');
  writeFileSync(bodyFile, body);
  const headers = { 'X-Test': ['1', '2'], Host: 'example.test' };
  agrees(
    await load({ url: `${server.url}a?b=c`, method: 'PUT', headers, bodyFile, connections: 4, requests: 60 }),
    server,
  );
  expect(server.last.head).toBe(
    'PUT /a?b=c HTTP/1.1\r\nX-Test: 1\r\nX-Test: 2\r\nHost: example.test\r\nContent-Length: 300000',
  );
  expect(server.last.body).toBe(body);
});

test('Connection: close: each response costs a connection, and is no error', async () => {
  const close = OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
  const server = await httpServer(({ socket, reply }) => {
    reply(close);
    socket.end();
  });
  agrees(await load({ url: server.url, threads: 2, connections: 6, requests: 120 }), server);
  // One that was opened again may find that another has sent the last request.
  expect(server.connections).toBeGreaterThanOrEqual(120);
  expect(server.connections).toBeLessThan(126);
});

test('a body that only the end of the connection ends', async () => {
  const server = await httpServer(({ socket, reply }) => {
    reply('HTTP/1.1 200 OK\r\n\r\nas long as it lasts');
    setImmediate(() => socket.end());
  });
  agrees(await load({ url: server.url, connections: 5, requests: 60 }), server);
});

test('a server that closes every seventh connection, with requests pipelined behind: they are sent again', async () => {
  const close = OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
  const answered = { requests: 0, bytes: 0 };
  const server = await httpServer(({ nth, socket, reply }) => {
    if (nth > 6) return; // behind the last one: not answered
    answered.requests++;
    const answer = nth === 6 ? close : OK;
    answered.bytes += answer.length;
    reply(answer);
    if (nth === 6) socket.end();
  });
  const result = await load({ url: server.url, threads: 2, connections: 3, pipelining: 4, requests: 500 });
  expect(result.errors).toEqual(NO_ERRORS);
  expect(result).toMatchObject({ requests: 500, responses: 500, bytesReceived: answered.bytes });
  expect(answered.requests).toBe(500);
});

test('idle connections that the server closes are opened again, without an error', async () => {
  const server = await httpServer(({ socket, reply }) => {
    reply(OK);
    setTimeout(() => socket.end(), 20);
  });
  const result = await load({ url: server.url, connections: 2, rate: 10, duration: 1500 });
  // One that crosses the server's close on its way is sent once more.
  expect(result).toMatchObject({ requests: 15, responses: 15, errors: NO_ERRORS });
  expect(server.requests).toBe(15 + result.retried);
  expect(server.connections).toBeGreaterThan(5);
});

test('a unix socket, IPv6 and a host name', async () => {
  const path = join(folder(), 'socket');
  for (const where of [{ path }, { host: '::1', port: 0 }, { host: 'localhost', port: 0 }]) {
    const server = await httpServer(undefined, where);
    const url = where.host === 'localhost' ? `http://localhost:${server.port}/` : server.url;
    agrees(await load({ url, connections: 5, requests: 300 }), server);
  }
});

test('tcp://: as many bytes come back as were sent', async () => {
  let bytes = 0;
  const { authority } = await rawServer(socket => {
    socket.on('data', chunk => {
      bytes += chunk.length;
      socket.write(chunk);
    });
  });
  const body = Buffer.alloc(10_000, 'tcp');
  const result = await load({
    url: `tcp://${authority}`,
    body,
    threads: 2,
    connections: 5,
    pipelining: 3,
    requests: 400,
  });
  expect(result).toMatchObject({ errors: NO_ERRORS, requests: 400, responses: 400, statuses: {} });
  expect(result).toMatchObject({ bytesSent: 4_000_000, bytesReceived: 4_000_000 });
  expect(bytes).toBe(4_000_000);
});

test("a protocol of the user's own: what its module sends, and where its answers end", async () => {
  // A request is a line with a number; the answer has so many bytes after a line with their count.
  const module = join(folder(), 'protocol.mjs');
  writeFileSync(
    module,
    `let n = 0;
     export function request() { return Buffer.from(String(n = n % 30_000 + 1237) + '\\n'); }
     export function response(bytes) {
       const line = bytes.indexOf(10);
       if (line < 0) return 0;
       const length = Number(Buffer.from(bytes.subarray(0, line)).toString());
       return line + 1 + length;
     }`,
  );
  const counts = { requests: 0, received: 0, sent: 0 };
  const { authority } = await rawServer(socket => {
    let text = '';
    socket.on('data', chunk => {
      counts.received += chunk.length;
      text += chunk;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const length = Number(text.slice(0, end));
        text = text.slice(end + 1);
        const answer = `${length}\n${'x'.repeat(length)}`;
        counts.requests++;
        counts.sent += answer.length;
        const cut = counts.requests % 9;
        socket.write(answer.slice(0, cut));
        setImmediate(() => socket.write(answer.slice(cut)));
      }
    });
  });
  const result = await load({ url: `tcp://${authority}`, protocol: module, threads: 2, connections: 6, requests: 500 });
  expect(result).toMatchObject({ errors: NO_ERRORS, requests: 500, responses: 500 });
  expect(result).toMatchObject({ bytesSent: counts.received, bytesReceived: counts.sent });
  expect(counts.requests).toBe(500);
});

test('300 connections, three times; no fd stays open', async () => {
  const server = await httpServer();
  await load({ url: server.url, requests: 1 });
  const before = countFds();
  for (let i = 0; i < 3; i++) {
    const result = await load({ url: server.url, connections: 300, requests: 3000 });
    expect(result).toMatchObject({ responses: 3000, errorCount: 0 });
  }
  // The server's ends go when it has seen the clients' go.
  await vi.waitFor(() => expect(countFds()).toBeLessThanOrEqual(before), { timeout: 10_000 });
});
