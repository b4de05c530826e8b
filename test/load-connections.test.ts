/**
 * Connections that end: by the server's wish or this side's, idle or in use; what is sent again, and what is an error.
 *
 * @module-tag slow
 */
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type LoadOptions, load } from 'epoll-pool/load';
import { expect, inject, test, vi } from 'vitest';
import { httpServer, OK, rawServer } from './support/load-server.ts';

vi.setConfig({ testTimeout: 60_000 });

const NONE = { connect: 0, reset: 0, timeout: 0, protocol: 0, status: 0, check: 0 };
const CLOSING = OK.replace('\r\n', '\r\nConnection: close\r\n');
const FAREWELL = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

const LOOPS: ReadonlyArray<[string, Omit<LoadOptions, 'url'>]> = [
  ['closed loop', { threads: 2, connections: 4, requests: 200 }],
  ['open loop', { threads: 2, connections: 4, requests: 200, rate: 2000 }],
  ['pipelining', { threads: 2, connections: 4, requests: 200, pipelining: 3 }],
];

test.each([
  ['408 alone', 'HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n'],
  ['Connection: close alone', CLOSING.replace('200', '503')],
])('a farewell on an idle connection by %s', async (_how, farewell) => {
  const server = await httpServer(({ socket, reply }) => {
    reply(OK);
    setTimeout(() => socket.end(farewell), 30);
  });
  const result = await load({ url: server.url, connections: 2, rate: 10, requests: 6 });
  expect(result).toMatchObject({ requests: 6, responses: 6, errors: NONE, statuses: { 200: 6 } });
  expect(server.connections).toBeGreaterThan(3);
});

test.each(['whole', 'in two parts'])('a farewell on an idle connection, %s, is a close and no error', async how => {
  let farewells = 0;
  const leaving = new WeakSet<Socket>();
  const server = await httpServer(({ socket, reply }) => {
    // A request that crosses the farewell is not answered in the middle of it.
    if (leaving.has(socket)) return;
    reply(OK);
    setTimeout(() => {
      if (leaving.has(socket)) return;
      leaving.add(socket);
      farewells++;
      const cut = how === 'whole' ? FAREWELL.length : 20;
      socket.write(FAREWELL.slice(0, cut));
      setTimeout(() => socket.end(FAREWELL.slice(cut)), how === 'whole' ? 0 : 20);
    }, 30);
  });
  const result = await load({ url: server.url, threads: 2, connections: 3, rate: 10, requests: 10 });
  expect(result).toMatchObject({ requests: 10, responses: 10, errors: NONE, warnings: [] });
  expect(result.statuses).toEqual({ 200: 10 });
  expect(farewells).toBeGreaterThan(3);
});

test('a connection that was closed while it was idle is not opened again before it is needed', async () => {
  let opened = 0;
  const { authority } = await rawServer(socket => {
    opened++;
    let asked = 0;
    // A request that is there by then is answered first: the server's thread may have had no turn for long.
    const leave = (before: number): void => {
      if (asked === before) socket.end(FAREWELL);
    };
    const wait = (): NodeJS.Timeout => setTimeout(before => setImmediate(leave, before), 50, asked);
    let timer = wait();
    socket.on('close', () => clearTimeout(timer));
    socket.on('data', () => {
      asked++;
      socket.write(OK);
      clearTimeout(timer);
      timer = wait();
    });
  });
  const result = await load({ url: `http://${authority}/`, connections: 10, rate: 2, duration: '2s' });
  expect(result).toMatchObject({ requests: 4, responses: 4, errors: NONE });
  // Ten at first, and one for each request that came later.
  expect(opened).toBeLessThanOrEqual(14 + result.retried);
});

test.each(LOOPS)('%s: after a Connection: close of its own nothing is sent', async (_name, options) => {
  const perConnection: number[] = [];
  const server = await httpServer(({ nth, reply }) => {
    perConnection[nth] = (perConnection[nth] ?? 0) + 1;
    // It does not say that it closes, and does not close.
    reply(OK);
  });
  const result = await load({ url: server.url, ...options, headers: { Connection: 'close' } });
  expect(result).toMatchObject({ requests: 200, responses: 200, errors: NONE, retried: 0 });
  expect(perConnection).toEqual([200]);
  expect(server.connections).toBeGreaterThanOrEqual(200);
});

test.each(LOOPS)('%s: a server that closes after each answer, and says so', async (_name, options) => {
  const server = await httpServer(({ socket, reply, nth }) => {
    if (nth > 0) return;
    reply(CLOSING);
    socket.end();
  });
  const result = await load({ url: server.url, ...options });
  expect(result).toMatchObject({ requests: 200, responses: 200, errors: NONE });
});

test.each([
  ['GET', { ...NONE }, 200],
  ['PUT', { ...NONE }, 200],
  ['DELETE', { ...NONE }, 200],
])('%s that meets the close of a connection is sent once more', async (method, errors, responses) => {
  // Every third request of a connection finds it closed.
  const server = await httpServer(({ socket, nth, reply }) => (nth === 2 ? socket.end() : reply(OK)));
  const result = await load({ url: server.url, method, threads: 2, connections: 4, requests: 200 });
  expect(result).toMatchObject({ requests: 200, responses, errors });
  // Each connection but the last ones answers two.
  expect(result.retried).toBeGreaterThanOrEqual(96);
  expect(result.retried).toBeLessThanOrEqual(100);
  expect(server.requests).toBe(200 + result.retried);
});

test('POST is not sent again: its server may have done what it asks', async () => {
  const server = await httpServer(({ socket, nth, reply }) => (nth === 2 ? socket.end() : reply(OK)));
  const result = await load({ url: server.url, method: 'POST', threads: 2, connections: 4, requests: 200 });
  expect(result.retried).toBe(0);
  expect(result.errors.reset).toBeGreaterThan(50);
  expect(result.responses + result.errors.reset).toBe(200);
  expect(result.errorDetails).toEqual({ 'reset closed before the response': result.errors.reset });
});

test('a request is sent again only once, and only if nothing of its answer has come', async () => {
  const twice = await httpServer(({ socket, index, reply }) => (index === 1 || index === 2 ? socket.end() : reply(OK)));
  expect(await load({ url: twice.url, connections: 1, requests: 10 })).toMatchObject({
    responses: 9,
    retried: 1,
    errors: { ...NONE, reset: 1 },
  });
  const begun = await httpServer(({ socket, index, reply }) => {
    if (index === 1) socket.end('HTTP/1.1 2');
    else reply(OK);
  });
  expect(await load({ url: begun.url, connections: 1, requests: 10 })).toMatchObject({
    responses: 9,
    retried: 0,
    errors: { ...NONE, protocol: 1 },
  });
});

test('a 408 that crosses a request on a kept connection is the server’s close', async () => {
  const server = await httpServer(({ socket, nth, reply }) => (nth === 1 ? socket.end(FAREWELL) : reply(OK)));
  const result = await load({ url: server.url, connections: 1, requests: 20 });
  expect(result).toMatchObject({ requests: 20, responses: 20, retried: 19, errors: NONE, statuses: { 200: 20 } });
  const always = await httpServer(({ socket }) => socket.end(FAREWELL));
  const refused = await load({ url: always.url, connections: 1, requests: 20 });
  expect(refused).toMatchObject({ responses: 20, errors: { ...NONE, status: 20 }, statuses: { 408: 20 } });
});

test.each(['\r\n', '\n', '\r\n\r\n'])('empty lines behind an answer are nothing: %j', async extra => {
  const server = await httpServer(({ reply }) => reply(OK + extra));
  for (const rate of [undefined, 1000]) {
    const result = await load({ url: server.url, connections: 2, requests: 50, ...(rate && { rate }) });
    expect(result).toMatchObject({ responses: 50, errors: NONE });
  }
  expect(server.connections).toBe(4);
});

test.each(['x', 'HTTP/1.1 ', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n', OK])(
  'other bytes behind an answer are one error, and the answer counts: %j',
  async extra => {
    const server = await httpServer(({ reply }) => reply(OK + extra));
    const result = await load({ url: server.url, connections: 2, requests: 20 });
    expect(result).toMatchObject({ requests: 20, responses: 20, errors: { ...NONE, protocol: 20 } });
    expect(result.errorDetails).toEqual({ 'protocol unexpected bytes after the response': 20 });
  },
);

test('open loop: an answer that nobody asked for, and that never ends, is one error as well', async () => {
  const server = await httpServer(({ reply, index }) => reply(index === 0 ? `${OK}HTTP/1.1 2` : OK));
  const result = await load({ url: server.url, connections: 1, rate: 5, requests: 4, timeout: 300 });
  expect(result).toMatchObject({ requests: 4, responses: 4, errors: { ...NONE, protocol: 1 } });
  expect(result.errorDetails).toEqual({ 'protocol unexpected bytes after the response': 1 });
});

test('open loop: nor does it help if more of it comes all the time', async () => {
  const server = await httpServer(({ socket, reply, index }) => {
    reply(index === 0 ? `${OK}HTTP/1.1 200 OK\r\n\r\n` : OK);
    if (index > 0) return;
    const timer = setInterval(() => socket.write('x'), 50);
    socket.on('close', () => clearInterval(timer));
  });
  const result = await load({ url: server.url, connections: 1, rate: 5, requests: 4, timeout: 400, duration: '5s' });
  expect(result).toMatchObject({ requests: 4, responses: 4, errors: { ...NONE, protocol: 1 } });
});

test('pauses are made only while nothing was ever answered, and said', async () => {
  const never = await httpServer(({ socket }) => socket.resetAndDestroy());
  const options = { connections: 4, duration: '1s' };
  const paused = await load({ url: never.url, ...options });
  expect(paused.warnings.join()).toContain('While nothing was ever answered');
  expect(paused.errors.reset).toBeLessThan(200);
  const once = await httpServer(({ socket, index, reply }) => (index === 0 ? reply(OK) : socket.resetAndDestroy()));
  const result = await load({ url: once.url, ...options });
  expect(result.warnings.join()).not.toContain('While nothing was ever answered');
  expect(result.errors.reset).toBeGreaterThan(2 * paused.errors.reset);
});

test('by number with a short timeout: a server that stalls is not taken for one that is gone', async () => {
  const from = performance.now();
  const answered: Socket[] = [];
  const server = await httpServer(({ socket, reply }) => {
    if (performance.now() - from < 2500) answered.push(socket);
    else reply(OK);
  });
  const result = await load({ url: server.url, connections: 5, requests: 100, timeout: 200 });
  expect(result).toMatchObject({ requests: 100, errors: { ...NONE, timeout: 100 - result.responses } });
  expect(result.responses).toBeGreaterThan(20);
  expect(result.warnings.join()).not.toContain('Ended early');
});

test('a server that does not close when it is told to is left behind', async () => {
  const { authority } = await rawServer(socket => {
    // Half open: its side stays.
    socket.allowHalfOpen = true;
    socket.on('data', () => socket.write(CLOSING));
  });
  const result = await load({ url: `http://${authority}/`, connections: 4, requests: 20 });
  expect(result).toMatchObject({ requests: 20, responses: 20, errors: NONE });
});

test('nothing is sent behind a Connection: close of its own that is sent again', async () => {
  const script = join(inject('scratch'), 'every-other-closes.mjs');
  writeFileSync(script, "export const request = n => (n % 2 === 1 ? { headers: { Connection: 'close' } } : {});");
  let behind = 0;
  const last = new WeakSet<Socket>();
  const server = await httpServer(({ socket, nth, reply }) => {
    if (last.has(socket)) behind++;
    if (/^connection: close$/im.test(server.last.head)) last.add(socket);
    if (nth > 0) return;
    reply(CLOSING);
    socket.end();
  });
  const options = { script, threads: 1, connections: 1, pipelining: 4, requests: 20 };
  expect(await load({ url: server.url, ...options })).toMatchObject({ responses: 20, errors: NONE });
  expect(behind).toBe(0);
});

test('what was sent behind a last answer is counted as sent again, though the server keeps its end open', async () => {
  const server = await httpServer(({ socket, nth, reply }) => {
    socket.allowHalfOpen = true;
    if (nth > 0) return;
    reply(CLOSING);
    setTimeout(() => socket.end(), 500);
  });
  const result = await load({ url: server.url, threads: 1, connections: 1, pipelining: 4, requests: 8 });
  expect(result).toMatchObject({ requests: 8, responses: 8, errors: NONE });
  expect(result.retried).toBeGreaterThan(0);
  expect(server.requests).toBe(8 + result.retried);
});

test('what waits behind a request that was answered before it was sent is not sent again: it never was', async () => {
  const { authority } = await rawServer(socket => {
    socket.once('data', () => {
      socket.pause();
      socket.write(CLOSING);
      setTimeout(() => socket.destroy(), 5);
    });
  });
  const body = Buffer.alloc(8_000_000);
  const options = { method: 'PUT', body, threads: 1, connections: 1, pipelining: 4, requests: 8 };
  const result = await load({ url: `http://${authority}/`, ...options });
  expect(result).toMatchObject({ requests: 8, responses: 8, retried: 0, errors: NONE });
});

test('requests that are lost when they are sent again take no later one’s second chance', async () => {
  let connections = 0;
  const server = await httpServer(({ socket, nth, reply }) => {
    const connection = nth === 0 ? connections++ : -1;
    // Two each answer once and close under what is behind; one between them closes under what is sent again.
    if (connection === 1) socket.end();
    else if (connection === 0 || connection === 2) {
      reply(OK);
      socket.end();
    } else if (connections > 3) reply(OK);
  });
  const result = await load({ url: server.url, threads: 1, connections: 1, pipelining: 3, requests: 20 });
  expect(result.errors.reset).toBeLessThanOrEqual(3);
  expect(result.errors).toEqual({ ...NONE, reset: result.errors.reset });
  expect(result.responses).toBe(20 - result.errors.reset);
});
