/**
 * Servers that are not there, reset, stall or talk nonsense: counted by kind, never a hang or a crash.
 *
 * @module-tag slow
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type LoadOptions, load } from 'epoll-pool/load';
import { accept, close, listen, localAddress } from 'epoll-pool/sys';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Connector } from '../dist/main/load/connector.js';
import { parseTarget } from '../dist/shared/load/target.js';
import { httpServer, NOBODY, OK, rawServer } from './support/load-server.ts';

vi.setConfig({ testTimeout: 60_000 });

const NONE = { connect: 0, reset: 0, timeout: 0, protocol: 0, status: 0, check: 0 };

/** A closed loop and an open one, both by number; five each, because a place that fails again and again is tried ever later. */
const LOOPS: ReadonlyArray<[string, Omit<LoadOptions, 'url'>]> = [
  ['closed loop', { threads: 2, connections: 8, requests: 40 }],
  ['open loop', { threads: 2, connections: 8, requests: 40, rate: 400 }],
  ['pipelining', { threads: 2, connections: 8, requests: 40, pipelining: 3 }],
];

test('nobody listens: connect, and the test ends at once', async () => {
  const result = await load({ url: NOBODY, connections: 5, duration: '30s' });
  expect(result.errors).toEqual({ ...NONE, connect: 5 });
  expect(result.errorDetails).toEqual({ 'connect ECONNREFUSED': 5 });
  expect(result).toMatchObject({ requests: 0, responses: 0, warnings: ['No connection could be opened.'] });
  expect(result.duration).toBeLessThan(10_000);
});

test('a host that does not exist', async () => {
  const result = await load({ url: 'http://does-not-exist.invalid/', connections: 3, requests: 10, timeout: '2s' });
  expect(result.errors.connect).toBeGreaterThan(0);
  expect(Object.keys(result.errorDetails)[0]).toMatch(/^connect (ENOTFOUND|EAI_AGAIN|ETIMEDOUT)$/);
});

test('a main thread that was busy for longer than the timeout takes no connection for one that failed', async () => {
  const listener = listen({ host: '127.0.0.1', backlog: 1 });
  const { port } = localAddress(listener);
  const connector = new Connector(parseTarget(`http://127.0.0.1:${port}/`), 1500, 128, () => {});
  const fds = [listener];
  onTestFinished(() => {
    connector.close();
    for (const fd of fds) close(fd);
  });
  const busy = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  // The first goes by name, the others to the address that it has found.
  const first = connector.open();
  await new Promise(process.nextTick);
  busy(1700);
  fds.push(await first, await connector.open());
  // Now the queue is full, and the kernel tries again after a second: by then there is room.
  const late = connector.open();
  await new Promise(process.nextTick);
  fds.push(accept(listener), accept(listener));
  busy(2000);
  fds.push(await late);
});

test('a server that does not even accept: connect, after the timeout', async () => {
  // What it does not accept waits in its queue, which holds two; after that nobody is answered.
  const program = `const server = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('fs').writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50_000);
  });`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const [port] = await once(child.stdout, 'data');
  const url = `http://127.0.0.1:${port}/`;
  const some = await load({ url, connections: 6, requests: 10, timeout: 300 });
  expect(some.errors.connect + some.errors.timeout).toBe(10);
  for (const rate of [undefined, 100]) {
    const none = await load({ url, connections: 6, duration: '1s', timeout: 300, ...(rate && { rate }) });
    expect(none).toMatchObject({ requests: 0, responses: 0, warnings: ['No connection could be opened.'] });
    expect(none.errors.connect).toBeGreaterThan(0);
    expect(Object.keys(none.errorDetails)).toEqual(['connect ETIMEDOUT']);
  }
});

test.each(LOOPS)('%s: a server that resets each request', async (_name, options) => {
  const server = await httpServer(({ socket }) => socket.resetAndDestroy());
  const result = await load({ url: server.url, ...options });
  expect(result).toMatchObject({ requests: 40, responses: 0, errors: { ...NONE, reset: 40 }, errorCount: 40 });
  expect(Object.keys(result.errorDetails).every(detail => detail.startsWith('reset '))).toBe(true);
});

test.each(LOOPS)('%s: a server that closes instead of answering', async (_name, options) => {
  const server = await httpServer(({ socket }) => socket.end());
  const result = await load({ url: server.url, ...options });
  expect(result).toMatchObject({ requests: 40, responses: 0, errors: { ...NONE, reset: 40 } });
});

test('closed loop: a server that closes each connection before a request is sent', async () => {
  const server = await rawServer(socket => socket.destroy());
  for (const limit of [{ duration: '500ms' }, { requests: 6 }]) {
    const result = await load({ url: `http://127.0.0.1:${server.port}`, threads: 1, connections: 2, ...limit });
    expect(result.responses).toBe(0);
    expect(result.errors.reset).toBeGreaterThan(1);
    expect(result.errors).toEqual({ ...NONE, reset: result.errorCount });
    if ('requests' in limit) expect(result.errorCount).toBe(limit.requests);
    expect(result.warnings).toContain('No request was answered.');
  }
});

test.each(LOOPS)('%s: a server that never answers: every request is a timeout', async (_name, options) => {
  const server = await httpServer(() => {});
  const result = await load({ url: server.url, ...options, requests: 12, timeout: 150 });
  expect(result).toMatchObject({ requests: 12, responses: 0, errors: { ...NONE, timeout: 12 } });
  expect(result.errorDetails).toEqual({ timeout: 12 });
  expect(server.requests).toBe(12);
});

test.each(LOOPS)('%s: garbage', async (_name, options) => {
  const server = await httpServer(({ reply }) => reply('SSH-2.0-OpenSSH_9.6\r\n'));
  const result = await load({ url: server.url, ...options });
  expect(result).toMatchObject({ requests: 40, responses: 0, errors: { ...NONE, protocol: 40 } });
  expect(result.errorDetails).toEqual({ 'protocol no HTTP/1.0 or HTTP/1.1 response': 40 });
});

test('endless headers', async () => {
  const server = await httpServer(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    const more = (): void => {
      while (!socket.destroyed && socket.write(`X-More: ${'x'.repeat(1000)}\r\n`.repeat(20)));
    };
    socket.on('drain', more);
    more();
  });
  const result = await load({ url: server.url, threads: 2, connections: 2, requests: 6 });
  expect(result).toMatchObject({ requests: 6, errors: { ...NONE, protocol: 6 } });
  expect(result.errorDetails).toEqual({ 'protocol headers of more than 64 KiB': 6 });
});

test('a body without end is a timeout, however fast it comes', async () => {
  const server = await httpServer(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    const block = Buffer.alloc(65_536);
    const more = (): void => {
      while (!socket.destroyed && socket.write(block));
    };
    socket.on('drain', more);
    more();
  });
  for (const rate of [undefined, 100]) {
    const result = await load({
      url: server.url,
      threads: 1,
      connections: 2,
      requests: 4,
      timeout: 300,
      ...(rate && { rate }),
    });
    expect(result).toMatchObject({ requests: 4, responses: 0, errors: { ...NONE, timeout: 4 } });
  }
});

test('a response that is cut off', async () => {
  const server = await httpServer(({ socket, reply }) => {
    reply('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this');
    socket.end();
  });
  const result = await load({ url: server.url, connections: 3, requests: 20 });
  expect(result).toMatchObject({ requests: 20, errors: { ...NONE, protocol: 20 } });
  expect(result.errorDetails).toEqual({ 'protocol closed in the middle of a response': 20 });
});

test('a response that nobody asked for', async () => {
  const server = await httpServer(({ reply }) => reply(OK + OK));
  const result = await load({ url: server.url, connections: 1, rate: 10, requests: 5 });
  expect(result).toMatchObject({ requests: 5, responses: 5, errors: { ...NONE, protocol: 5 } });
  expect(result.errorDetails).toEqual({ 'protocol unexpected bytes after the response': 5 });
});

test('an answer before the whole request was sent counts; the connection is not used again', async () => {
  const { authority } = await rawServer(socket => {
    socket.once('data', () => {
      socket.pause();
      socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n');
    });
  });
  const body = Buffer.alloc(20_000_000);
  const result = await load({ url: `http://${authority}/`, body, connections: 2, requests: 6, expect: 413 });
  expect(result).toMatchObject({ requests: 6, responses: 6, errors: NONE, statuses: { 413: 6 } });
});

test('unexpected status codes', async () => {
  const server = await httpServer(({ index, reply }) => reply(index % 4 === 0 ? OK.replace('200', '503') : OK));
  const result = await load({ url: server.url, connections: 3, requests: 40 });
  expect(result).toMatchObject({ requests: 40, responses: 40, errors: { ...NONE, status: 10 }, errorCount: 10 });
  expect(result).toMatchObject({ statuses: { 200: 30, 503: 10 }, errorDetails: { 'status 503': 10 } });
});

test('a mix: what is answered and what is not add up to what was sent', async () => {
  const server = await httpServer(({ index, socket, reply }) => {
    if (index % 7 === 3) socket.resetAndDestroy();
    else if (index % 11 === 5) reply('?');
    else if (index % 31 === 7) setTimeout(() => reply(OK), 100_000).unref();
    else reply(OK);
  });
  const result = await load({ url: server.url, threads: 3, connections: 10, requests: 600, timeout: 200 });
  const { connect, reset, timeout, protocol } = result.errors;
  expect(result.requests).toBe(600);
  expect(result.responses + reset + timeout + protocol).toBe(600);
  expect(connect).toBe(0);
  for (const count of [reset, timeout, protocol]) expect(count).toBeGreaterThan(0);
});

test('a server that goes away in the middle: by number the test ends when no connection can be had', async () => {
  const server = await httpServer(({ index, reply }) => {
    reply(OK);
    if (index === 50) void server.close();
  });
  const result = await load({ url: server.url, connections: 3, requests: 1_000_000, timeout: 500 });
  expect(result.responses).toBeGreaterThanOrEqual(40);
  expect(result.errors.connect).toBeGreaterThan(0);
  expect(result.warnings).toContain('Ended early: no connection could be opened for three timeouts, 1.5 s.');
});
