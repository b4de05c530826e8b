/** close(): in every state of every connection. */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { countFds, countThreads, threadsDownTo } from './support/fds.ts';
import { run } from './support/run.ts';
import { client, LINES, serve } from './support/server.ts';
import { module, quiet, until } from './support/service.ts';
import { within } from './support/within.ts';

const SOURCE = `${LINES}
  import { setTimeout as pause } from 'node:timers/promises';
  let goes;
  export function setup(data) { goes = data; }
  const wait = async connection => {
    connection.post('waits');
    while (Atomics.load(goes, 0) === 0) await pause(5);
    connection.send('waited');
  };
  export function close(connection, reason) { connection.post(['close', reason]); }
  export default (line, connection) => {
    if (line === 'big') { connection.send(Buffer.alloc(8 << 20, 97)); connection.post('sent'); }
    if (line === 'hang') { connection.post('hangs'); return new Promise(() => {}); }
    if (line === 'spin') { connection.post('spins'); for (;;); }
    if (line === 'wait') return wait(connection);
    connection.send(line + ';');
  };`;

test('lets what is at work finish, sends what is kept, ends every connection', async () => {
  const goes = new Int32Array(new SharedArrayBuffer(4));
  const served = await serve({ handler: module(SOURCE), handlerData: goes });
  const [idle, partial, waits, reads] = await Promise.all([1, 2, 3, 4].map(() => client(served.port)));
  if (!idle || !partial || !waits || !reads) throw new Error('no clients');
  reads.socket.pause();
  partial.write('whole\nhalf');
  waits.write('wait\nnever\n');
  reads.write('big\n');
  await partial.has('whole;');
  await until(() => served.server.stats().bytesKept > 1 << 20, 'output that is kept');
  await until(() => served.messages.some(({ value }) => value === 'waits'), 'a message at work');
  const closing = served.server.close();
  Atomics.store(goes, 0, 1);
  await idle.all();
  expect(served.server.address()).toBe(null);
  reads.socket.resume();
  await within(closing);
  expect(idle.text).toBe('');
  expect(await partial.all()).toBe('whole;');
  expect(await waits.all()).toBe('waited');
  expect((await reads.all()).length).toBe((8 << 20) + 'big;'.length);
  expect(served.closes.map(({ reason }) => reason)).toEqual(Array(4).fill('server'));
  expect(served.messages.filter(({ value }) => Array.isArray(value))).toHaveLength(4);
  await expect(client(served.port)).rejects.toThrow('ECONNREFUSED');
});

test("waits for a peer's end, and after `timeout` destroys what is left", async () => {
  const served = await serve({ handler: module(SOURCE) });
  const stays = await client(served.port, true);
  const hangs = await client(served.port);
  const quick = await client(served.port);
  stays.write('x\n');
  await stays.has('x;');
  hangs.write('hang\n');
  await until(() => served.messages.length === 1, 'a promise that hangs');
  const from = performance.now();
  const closing = served.server.close({ timeout: 400 });
  await quick.all();
  await quiet();
  expect(stays.ended).toBe(true);
  await within(closing);
  expect(performance.now() - from).toBeGreaterThan(390);
  expect(performance.now() - from).toBeLessThan(5000);
  const reasons = served.closes.map(({ reason }) => reason).sort();
  expect(reasons).toEqual(['destroyed', 'server', 'server']);
  expect(new Set(served.closes.map(({ id }) => id)).size).toBe(3);
});

test('handlers that never return', async () => {
  const served = await serve({ handler: module(SOURCE) });
  const peers = await Promise.all(Array.from({ length: 4 }, () => client(served.port)));
  for (const peer of peers) peer.write('spin\n');
  await until(() => served.messages.length === 2, 'two threads that spin');
  await within(served.server.close({ timeout: 50 }));
  await Promise.all(peers.map(peer => peer.all()));
  expect(served.closes.map(({ reason }) => reason)).toEqual(Array(4).fill('destroyed'));
  expect(served.server.stats()).toMatchObject({ connections: 0, bytesKept: 0 });
});

test('idempotent, without connections, by Symbol.asyncDispose; what comes after it', async () => {
  const { server } = await serve({ handler: module(SOURCE) });
  await within(Promise.all([server.close(), server.close({ timeout: 5 }), server[Symbol.asyncDispose]()]));
  expect(server.send(2 ** 24, 'x')).toBe(false);
  expect(server.broadcast('x')).toBe(0);
  expect(server.connections).toBe(0);
  server.ref();
  server.unref();
  await expect(server.adopt(0x7fff_fff0)).rejects.toThrow();
});

test('a path goes, and comes again', async () => {
  const path = join(tmpdir(), `epoll-pool-close-${process.pid}.sock`);
  for (let i = 0; i < 2; i++) {
    const { server } = await serve({ handler: module(SOURCE), path });
    expect(server.address()).toBe(path);
    const peer = await client(path);
    peer.write('x\n');
    await peer.has('x;');
    peer.socket.end();
    await within(server.close());
    expect(existsSync(path)).toBe(false);
  }
});

test('leaves no fd and no thread', async () => {
  const once = async (): Promise<void> => {
    const { server, port } = await serve({ handler: module(SOURCE) });
    const peers = await Promise.all(Array.from({ length: 20 }, () => client(port)));
    for (const peer of peers) peer.write('x\nhalf');
    for (const peer of peers) await peer.has('x;');
    await within(server.close());
    await Promise.all(peers.map(peer => peer.closed));
  };
  await once();
  await until(() => true, 'a turn');
  const fds = countFds();
  const threads = countThreads();
  await once();
  await once();
  await threadsDownTo(threads);
  await until(() => countFds() <= fds, `${fds} fds`);
});

const SERVER = `
import { Server } from 'epoll-pool/server';
import net from 'node:net';
const handler = 'data:text/javascript,export default (bytes, connection) => { connection.send(bytes); };';
const server = await Server.listen({ port: 0, host: '127.0.0.1', handler, threads: 2 });
const { port } = server.address();
const socket = net.connect(port, '127.0.0.1');
socket.on('error', () => {});
const answer = await new Promise(resolve => { socket.once('data', resolve); socket.write('hello'); });
console.log(String(answer));
`;

test.each([
  ['server.close()', 'socket.destroy(); await server.close();'],
  ['unref()', 'socket.unref(); server.unref();'],
  ['process.exit()', 'process.exit();'],
])('the process ends after %s', async (_what, end) => {
  expect(await run(SERVER + end)).toMatchObject({ code: 0, signal: null, stdout: 'hello\n', stderr: '' });
});

test('the process lives for as long as the server is referenced', async () => {
  const source = `${SERVER} socket.destroy(); setTimeout(() => { console.log('still'); server.unref(); }, 300).unref();`;
  expect(await run(source)).toMatchObject({ code: 0, stdout: 'hello\nstill\n', stderr: '' });
});
