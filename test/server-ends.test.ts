/** Ends: exactly one 'close' for each 'connection', with its reason; close() once for each open(). */
import type { WaitServiceStats } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, onTestFinished, test } from 'vitest';
import { type Client, client, LINES, type Served, serve, settled } from './support/server.ts';
import { module, quiet, until } from './support/service.ts';

/** Posts its opens and closes; lines are commands. */
const COMMANDS = `${LINES}
  export function open(connection) { connection.state[0] = 7; connection.post('open'); }
  export function close(connection, reason) {
    connection.post(['close', reason, connection.open, connection.send('x'), connection.state[0]]);
  }
  export default (line, connection) => {
    if (line === 'end') { connection.end('last'); connection.send('never'); }
    if (line === 'destroy') { connection.destroy(); connection.send('never'); }
    if (line === 'throw') throw new RangeError('thrown');
    if (line === 'reject') return Promise.reject(new RangeError('thrown'));
    if (line === 'big') connection.send(new Uint8Array(8 << 20));
    if (line.startsWith('say')) connection.send(line);
  };`;

interface Case {
  readonly reason: string;
  readonly what: string;
  readonly act: (peer: Client, served: Served) => unknown;
  readonly options?: object;
  readonly text?: string;
}

const CASES: Case[] = [
  {
    reason: 'end',
    what: "the peer's end alone",
    act: peer => peer.socket.end('say 1\nsay 2\nunfinished'),
    text: 'say 1say 2',
  },
  { reason: 'end', what: 'end() in a handler', act: peer => peer.write('end\nsay never\n'), text: 'last' },
  {
    reason: 'end',
    what: 'end() of the main thread',
    act: (_, served) => served.server.end(served.connections[0] ?? 0),
    text: '',
  },
  { reason: 'destroyed', what: 'destroy() in a handler', act: peer => peer.write('destroy\nsay never\n'), text: '' },
  {
    reason: 'destroyed',
    what: 'destroy() of the main thread',
    act: (_, served) => served.server.destroy(served.connections[0] ?? 0),
    text: '',
  },
  { reason: 'reset', what: 'a reset', act: peer => peer.reset() },
  { reason: 'idle', what: 'silence', act: () => {}, options: { idleTimeout: 100 }, text: '' },
  { reason: 'handler', what: 'a throw', act: peer => peer.write('say 1\nthrow\nsay never\n'), text: 'say 1' },
  { reason: 'handler', what: 'a rejection', act: peer => peer.write('say 1\nreject\nsay never\n'), text: 'say 1' },
  {
    reason: 'too-slow',
    what: 'more output than maxOutput',
    act: peer => {
      peer.socket.pause();
      peer.write('big\n');
    },
    options: { maxOutput: 1 << 20 },
  },
  {
    reason: 'memory',
    what: 'more output than memory',
    act: peer => {
      peer.socket.pause();
      peer.write('big\n');
    },
    options: { memory: 1 << 20 },
  },
  {
    reason: 'memory',
    what: 'more input than memory',
    act: peer => peer.write('x'.repeat(900_000)),
    options: { memory: 100_000 },
  },
  { reason: 'server', what: 'close()', act: (_, served) => void served.server.close(), text: '' },
];

test.each(CASES)('$reason: $what', async ({ reason, act, options, text }) => {
  const served = await serve({ handler: module(COMMANDS), stateBytes: 8, ...options });
  const peer = await client(served.port);
  await until(() => served.messages.length === 1, 'its open()');
  act(peer, served);
  await settled(served, 1);
  await until(() => served.messages.length === 2, 'its close()');
  const id = served.connections[0];
  expect(served.connections).toHaveLength(1);
  expect(served.closes).toEqual([{ id, reason }]);
  expect(served.messages).toEqual([
    { value: 'open', id },
    { value: ['close', reason, false, false, 7], id },
  ]);
  const stats = served.server.stats();
  expect(stats).toMatchObject({ accepted: 1, connections: 0, bytesKept: 0, closed: { [reason]: 1 } });
  expect(Object.values(stats.closed).reduce((sum, count) => sum + count)).toBe(1);
  const thrown = [{ error: { name: 'RangeError', message: 'thrown' }, id }];
  expect(served.errors).toMatchObject(reason === 'handler' ? thrown : []);
  if (text !== undefined) expect(await peer.all()).toBe(text);
});

/** Of all threads. */
function total(service: WaitServiceStats): number {
  return service.threads.reduce((sum, thread) => sum + thread.handled, 0);
}

test("end() waits for the peer's end, and drops what it sends until then", async () => {
  const served = await serve({ handler: module(COMMANDS), stateBytes: 8 });
  const peer = await client(served.port, true);
  peer.write('end\n');
  await until(() => peer.ended, "the server's end");
  expect(peer.text).toBe('last');
  peer.write('say more\n'.repeat(1000));
  await until(() => served.server.stats().bytesRead === 'end\n'.length + 9000, 'what it sends');
  expect(served.closes).toEqual([]);
  // Nothing runs while nothing happens.
  const runs = (): number => total(served.server.stats().service);
  const before = runs();
  await quiet();
  expect(runs() - before).toBeLessThan(5);
  peer.socket.end();
  await settled(served, 1);
  expect(served.closes[0]?.reason).toBe('end');
  expect(peer.text).toBe('last');
});

test("a peer's end comes after all that it is sent, however slowly it reads", async () => {
  const source = `${LINES} export default (line, connection) => { connection.send(Buffer.alloc(6 << 20, 97)); };`;
  const served = await serve({ handler: module(source) });
  const peer = await client(served.port, true);
  peer.socket.pause();
  peer.socket.end('give\n');
  await until(() => served.server.stats().bytesKept > 0, 'output that is kept');
  peer.socket.resume();
  expect((await peer.all()).length).toBe(6 << 20);
  await settled(served, 1);
  expect(served.closes[0]?.reason).toBe('end');
});

test('what open() throws is an error that names the peer', async () => {
  const served = await serve({
    handler: module(`export function open() { throw new Error('no'); } export default () => {};`),
  });
  const peer = await client(served.port);
  await peer.all();
  await settled(served, 1);
  expect(served.errors).toMatchObject([{ error: { message: 'no' }, id: served.connections[0] }]);
  expect(served.closes).toEqual([{ id: served.connections[0], reason: 'handler' }]);
});

test('what close() throws is an error, too', async () => {
  const served = await serve({
    handler: module(`export function close() { throw new Error('no'); } export default () => {};`),
  });
  const peer = await client(served.port);
  peer.socket.end();
  await settled(served, 1);
  await until(() => served.errors.length === 1, 'an error');
  expect(served.errors).toMatchObject([{ error: { message: 'no' }, id: served.connections[0] }]);
});

test('what an async open() or close() throws is an error, and ends no thread', async () => {
  const source = `
    export async function open() { throw new Error('in open'); }
    export async function close() { throw new Error('in close'); }
    export default (bytes, connection) => { connection.send(bytes); };`;
  const served = await serve({ handler: module(source) });
  const peer = await client(served.port);
  peer.write('x');
  await peer.has('x');
  peer.socket.end();
  await settled(served, 1);
  await until(() => served.errors.length === 2, 'two errors');
  expect(served.errors.map(({ error }) => error.message).sort()).toEqual(['in close', 'in open']);
  expect(served.server.stats().service.restarts).toBe(0);
});

test('idleTimeout: what waits for a thread to read it, or for one to send it, is no silence', async () => {
  const source = `${LINES} export default (line, connection) => {
    if (line === 'busy') {
      connection.post('busy');
      for (const until = performance.now() + 1500; performance.now() < until; );
    }
    if (line === 'big') connection.send(Buffer.alloc(16 << 20, 98));
    connection.send(line + ';');
  };`;
  const served = await serve({ handler: module(source), threads: 1, idleTimeout: 600, maxOutput: 32 << 20 });
  const busy = await client(served.port);
  const silent = await client(served.port);
  const asking = await client(served.port);
  const taking = await client(served.port);
  for (const peer of [silent, asking]) {
    peer.write('a\n');
    await peer.has('a;');
  }
  taking.socket.pause();
  taking.write('big\n');
  await until(() => served.server.stats().messages === 3, 'output that is kept');
  busy.write('busy\n');
  await until(() => served.messages.length === 1, 'a thread at work');
  asking.write('b\n');
  taking.socket.resume();
  await asking.has('b;');
  await taking.has('big;');
  await until(() => served.closes.length > 0, 'the end of the silent one');
  expect(silent.text).toBe('a;');
  expect(served.closes[0]).toEqual({ id: served.connections[1], reason: 'idle' });
});

test('a message that was begun: idleTimeout asks refuse() for last words', async () => {
  const source = `${LINES}
    protocol.refuse = error => Buffer.from(error.code);
    export default (line, connection) => { connection.send(line); };`;
  const served = await serve({ handler: module(source), idleTimeout: 150 });
  const idle = await client(served.port);
  const slow = await client(served.port);
  idle.write('whole\n');
  slow.write('whole\nhalf');
  expect(await slow.all()).toBe('wholeETIMEDOUT');
  expect(await idle.all()).toBe('whole');
  await settled(served, 2);
  expect(served.closes.map(({ reason }) => reason)).toEqual(['idle', 'idle']);
});

test('traffic in either direction, or a message at work, is no idleness', { tags: ['slow'] }, async () => {
  const source = `${LINES}
    export default async (line, connection) => {
      await new Promise(resolve => setTimeout(resolve, 600));
      connection.send(line);
    };`;
  const served = await serve({ handler: module(source), idleTimeout: 200 });
  const [talks, works, listens] = await Promise.all([client(served.port), client(served.port), client(served.port)]);
  await until(() => served.connections.length === 3, 'three connections');
  works.write('done\n');
  const [id] = served.connections.slice(2);
  const timer = setInterval(() => {
    talks.write('x');
    if (id !== undefined) served.server.broadcast('y', served.connections[0]);
  }, 20);
  onTestFinished(() => clearInterval(timer));
  await works.has('done');
  expect(served.closes).toEqual([]);
  clearInterval(timer);
  await Promise.all([talks.all(), works.all(), listens.all()]);
  await settled(served, 3);
});

test('2,000 connections that reset, wherever they are', { tags: ['slow'] }, async () => {
  const served = await serve({ handler: module(COMMANDS), stateBytes: 8 });
  const lines = ['say hello\n', 'say', 'end\n', 'throw\n', 'big\n', 'destroy\n', 'reject\n', ''];
  for (let round = 0; round < 40; round++) {
    const peers = await Promise.all(Array.from({ length: 50 }, () => client(served.port)));
    for (const [i, peer] of peers.entries()) {
      peer.write(lines[(i + round) % lines.length] ?? '');
      if (i % 3 === 0) peer.reset();
      else setTimeout(() => peer.reset(), i % 5);
    }
    await Promise.all(peers.map(peer => peer.closed));
  }
  await settled(served, 2000);
  const counts = served.server.stats();
  await until(() => served.messages.length === 4000, 'all opens and closes');
  expect(counts.accepted).toBe(2000);
  expect(new Set(served.closes.map(({ id }) => id)).size).toBe(2000);
  expect(new Set(served.connections)).toEqual(new Set(served.closes.map(({ id }) => id)));
  expect(Object.values(counts.closed).reduce((sum, count) => sum + count)).toBe(2000);
  for (const { error } of served.errors) expect(error.message).toBe('thrown');
});

test('what its thread has ended, nobody destroys: also before this thread has heard of that', async () => {
  const ended = new Int32Array(new SharedArrayBuffer(4));
  const source = `
    let ended;
    export function setup(shared) { ended = shared; }
    export default (bytes, connection) => connection.destroy();
    export function close() { Atomics.store(ended, 0, 1); Atomics.notify(ended, 0); }`;
  const { server, connections, closes } = await serve({
    handler: module(source),
    handlerData: ended,
    port: undefined,
    host: undefined,
  });
  const [ours, theirs] = sys.socketpair();
  onTestFinished(() => sys.close(theirs));
  const { id } = await server.adopt(ours);
  expect(connections).toEqual([id]);
  sys.write(theirs, Buffer.from('x'));
  expect(Atomics.wait(ended, 0, 0, 10_000)).not.toBe('timed-out');
  expect([server.send(id, 'x'), server.end(id), server.destroy(id)]).toEqual([false, false, false]);
  expect(closes).toEqual([]);
  await until(() => closes.length === 1, 'its end');
});
