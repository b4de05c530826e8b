/** Accepting: more connections than there is room for, or fds; and where it listens. */
import { Server } from 'epoll-pool/server';
import * as sys from 'epoll-pool/sys';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runLimited } from './support/limited.ts';
import { client, LINES, serve, settled } from './support/server.ts';
import { module, quiet, until } from './support/service.ts';
import { rejection, within } from './support/within.ts';

const ECHO = module(`${LINES} export default (line, connection) => { connection.send(line); };`);

test('beyond maxConnections they wait in the backlog', async () => {
  const served = await serve({ handler: ECHO, maxConnections: 5 });
  const peers = await Promise.all(Array.from({ length: 12 }, () => client(served.port)));
  for (const peer of peers) peer.write('x\n');
  await until(() => peers.filter(peer => peer.text === 'x').length === 5, 'five answers');
  await quiet();
  expect(served.server.stats()).toMatchObject({ connections: 5, accepted: 5 });
  for (let i = 0; i < 12; i++) {
    const peer = peers.find(({ text, socket }) => text === 'x' && !socket.destroyed);
    peer?.socket.end();
    await peer?.closed;
    await until(() => peers.filter(({ text }) => text === 'x').length >= Math.min(12, 6 + i), 'the next');
  }
  await settled(served, 12);
  expect(served.server.stats().accepted).toBe(12);
});

test('no fds left: connections wait, nothing spins, and it goes on when there are some', {
  tags: ['slow'],
}, async () => {
  const source = `
    import { Server } from 'epoll-pool/server';
    import { openSync, closeSync } from 'node:fs';
    const handler = 'data:text/javascript,export default (bytes, connection) => { connection.send(bytes); };';
    const server = await Server.listen({ port: 0, host: '127.0.0.1', handler, threads: 2 });
    server.on('error', error => print('error', error));
    process.on('warning', warning => print('warning', warning.code));
    const { port } = server.address();
    const fds = Array.from({ length: 10 }, () => sys.connect({ port }));
    const buffer = Buffer.alloc(9);
    const answers = () => fds.filter(fd => sys.read(fd, buffer) === 1).length;
    const hold = [];
    try { for (;;) hold.push(openSync('/dev/null')); } catch (error) { print(error.code); }
    for (const fd of fds) sys.write(fd, Buffer.from('x'));
    const before = process.cpuUsage();
    await new Promise(resolve => setTimeout(resolve, 1000));
    const { user, system } = process.cpuUsage(before);
    print(answers(), user + system < 500_000 ? 'quiet' : 'busy: ' + (user + system));
    for (const fd of hold) closeSync(fd);
    let count = 0;
    await until(() => (count += answers()) === 10);
    print(count);
    for (const fd of fds) sys.close(fd);
    await server.close();
  `;
  const { stdout, stderr, code } = await runLimited({ fds: 120 }, source);
  expect({ stdout, stderr, code }).toMatchObject({
    stdout: expect.stringMatching(/EMFILE\nwarning EMFILE\n0 quiet\n10\n$/),
    code: 0,
  });
});

test('addresses', async () => {
  const any = await serve({ handler: ECHO, host: undefined, port: 0 });
  expect(any.server.address()).toMatchObject({ address: '::', family: 'IPv6' });
  await client(any.port);
  const named = await serve({ handler: ECHO, host: 'localhost', port: 0 });
  expect(named.server.address()).toMatchObject({ port: named.port });
  const taken = Server.listen({ handler: ECHO, host: '127.0.0.1', port: any.port, threads: 1 });
  expect(await rejection(taken)).toMatchObject({ code: 'EADDRINUSE' });
  const first = await serve({ handler: ECHO, reusePort: true });
  const second = await serve({ handler: ECHO, reusePort: true, port: first.port });
  expect(second.port).toBe(first.port);
  expect(await rejection(Server.listen({ handler: ECHO, path: '/nowhere/at/all.sock', threads: 1 }))).toMatchObject({
    code: 'ENOENT',
  });
});

test('where a connection is from', async () => {
  const source = module(
    'export default (bytes, connection) => { connection.send(connection.remoteAddress + " " + connection.remotePort); };',
  );
  const { server, port } = await serve({ handler: source });
  const peers: unknown[] = [];
  server.on('connection', peer => peers.push(peer));
  const peer = await client(port);
  peer.write('x');
  const { localPort } = peer.socket;
  await peer.has(`127.0.0.1 ${localPort}`);
  expect(peers).toEqual([{ id: expect.any(Number), remoteAddress: '127.0.0.1', remotePort: localPort }]);
});

describe('accepted together, and not announced yet', () => {
  /** Ten clients whose connections come in one go, while the main thread computes; `first` is called in the first one's 'connection'. */
  async function together(first: (server: Server) => void) {
    const served = await serve({ handler: ECHO });
    let isFirst = true;
    served.server.prependListener('connection', () => {
      if (!isFirst) return;
      isFirst = false;
      // Meanwhile the threads have had their first runs with all of them.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
      first(served.server);
    });
    const coming = Array.from({ length: 10 }, () => client(served.port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    return { served, peers: await Promise.all(coming) };
  }

  test('what is sent to all of them arrives', async () => {
    let told = 0;
    const { peers } = await together(server => {
      told = server.broadcast('hello');
    });
    await until(() => told > 0, 'the first one');
    expect(told).toBeGreaterThan(1);
    await until(() => peers.filter(({ text }) => text === 'hello').length >= told, `${told} are told`);
  });

  test('close() ends them', async () => {
    let closing: Promise<void> | undefined;
    const { peers } = await together(server => {
      closing = server.close();
    });
    await until(() => closing !== undefined, 'the first one');
    await within(Promise.resolve(closing), 8000, 'close()');
    await Promise.all(peers.map(({ closed }) => closed));
  });
});

test('what has ended makes room at once: for who waits in the backlog, and for adopt() in its close listener', async () => {
  const source = 'export default bytes => { if (String(bytes) === "hang") return new Promise(() => {}); };';
  const served = await serve({ handler: module(source), maxConnections: 1 });
  const { server, connections, closes, port } = served;
  const first = await client(port);
  await until(() => connections.length === 1, 'a connection');
  // Its promise never settles: its slot is not free before the server closes.
  first.write('hang');
  await until(() => server.stats().bytesRead === 4, 'a message at work');
  const second = await client(port);
  first.reset();
  await until(() => connections.length === 2, 'the one in the backlog');
  expect(closes).toEqual([{ id: connections[0], reason: 'reset' }]);
  const [ours, theirs] = sys.socketpair();
  onTestFinished(() => sys.close(theirs));
  const adopted = new Promise(resolve => server.once('close', () => resolve(server.adopt(ours))));
  second.reset();
  expect(await within(adopted)).toEqual({ id: connections[2] });
  expect(server.connections).toBe(1);
  expect(connections).toHaveLength(3);
});
