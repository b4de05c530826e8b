/** Sockets that the server did not accept itself, and what was read from them already. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import * as sys from 'epoll-pool/sys';
import { expect, onTestFinished, test } from 'vitest';
import { countFds } from './support/fds.ts';
import { Client, client, LINES, serve, settled } from './support/server.ts';
import { module, until } from './support/service.ts';
import { rejection, within } from './support/within.ts';

const ECHO = module(
  `${LINES} export default (line, connection) => { connection.send('<' + line + '>' + connection.remoteAddress); };`,
);
const NOWHERE = { port: undefined, host: undefined };

/** A socket of Node's, accepted, and its client. */
async function accepted(pauseOnConnect: boolean): Promise<{ socket: Socket; peer: Client }> {
  const server = createServer({ pauseOnConnect });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  const address = server.address();
  const arrived = once(server, 'connection');
  const peer = new Client(connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1'));
  const [socket] = await within(arrived);
  return { socket, peer };
}

test('a socket of Node, untouched', async () => {
  const served = await serve({ handler: ECHO, ...NOWHERE });
  expect(served.server.address()).toBe(null);
  const { socket, peer } = await accepted(true);
  peer.write('one\ntw');
  const { id } = await served.server.adopt(socket);
  expect(served.connections).toEqual([id]);
  expect(socket.destroyed).toBe(true);
  await peer.has('<one>127.0.0.1');
  peer.write('o\n');
  await peer.has('<two>');
  peer.socket.end();
  await settled(served, 1);
  expect(served.closes).toEqual([{ id, reason: 'end' }]);
});

test.each([0, 1, 4, 5, 9, 13])('one that was read from: %i bytes are given back', async taken => {
  const served = await serve({ handler: ECHO, ...NOWHERE });
  const { socket, peer } = await accepted(false);
  peer.write('one\ntwo\nthree');
  const chunk = await within(
    new Promise<Buffer>(resolve => {
      socket.on('data', data => {
        socket.pause();
        resolve(data);
      });
    }),
  );
  expect(String(chunk)).toBe('one\ntwo\nthree');
  socket.unshift(chunk.subarray(taken));
  await served.server.adopt(socket, { unread: chunk.subarray(0, taken) });
  peer.write('\n');
  await peer.has('<three>');
  expect(peer.text.replaceAll('127.0.0.1', '')).toBe('<one><two><three>');
});

test('an fd, and more that is unread than fits in any buffer', async () => {
  const served = await serve({ handler: ECHO, ...NOWHERE, maxMessage: 200_000 });
  const [ours, theirs] = sys.socketpair();
  onTestFinished(() => sys.close(theirs));
  const lines = Array.from({ length: 300 }, (_, i) => `${i}`.padEnd((i * 331) % 3000, '.'));
  lines[150] = 'x'.repeat(150_000);
  const unread = Buffer.from(`${lines.join('\n')}\nlast`);
  const { id } = await served.server.adopt({ fd: ours }, { unread });
  sys.write(theirs, Buffer.from('!\n'));
  const expected = `${lines.map(line => `<${line}>`).join('')}<last!>`;
  let text = '';
  const buffer = Buffer.alloc(65_536);
  await until(() => {
    for (let n = sys.read(theirs, buffer); n > 0; n = sys.read(theirs, buffer)) text += buffer.toString('latin1', 0, n);
    return text.length >= expected.length;
  }, 'all answers');
  expect(text === expected).toBe(true);
  // The thread has sent it, and gives back what held it a moment later.
  await until(() => served.server.stats().bytesKept === 0, 'nothing kept');
  expect(served.server.destroy(id)).toBe(true);
  await settled(served, 1);
});

test('rejects, and has closed the fd', async () => {
  const { server, port } = await serve({ handler: ECHO, maxConnections: 1 });
  await client(port);
  await until(() => server.connections === 1, 'a connection');
  const before = countFds();
  const fd = (): number => {
    const [ours, theirs] = sys.socketpair();
    sys.close(theirs);
    return ours;
  };
  expect(await rejection(server.adopt(fd()))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  expect(await rejection(server.adopt(sys.eventfd()))).toMatchObject({ code: 'ENOTSOCK' });
  expect(await rejection(server.adopt(fd(), { unread: 'text' as never }))).toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE',
  });
  expect(await rejection(server.adopt(-1))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  expect(await rejection(server.adopt('x' as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  expect(countFds()).toBe(before);
  const { socket, peer } = await accepted(false);
  socket.resume();
  expect(await rejection(server.adopt(socket))).toMatchObject({ code: 'ERR_INVALID_STATE' });
  expect(socket.destroyed).toBe(false);
  peer.socket.destroy();
  socket.destroy();
});

test('one whose peer has not read for long: open() does not wait for room', async () => {
  const source = 'export default () => {}; export const open = connection => connection.post("open");';
  const served = await serve({ handler: module(source), ...NOWHERE });
  const [ours, theirs] = sys.socketpair();
  onTestFinished(() => sys.close(theirs));
  const chunk = Buffer.alloc(65_536);
  while (sys.write(ours, chunk) >= 0) {}
  const told = once(served.server, 'message');
  const { id } = await served.server.adopt(ours);
  expect(await within(told)).toEqual(['open', { id }]);
});

test("in its 'data' listener, with more that Node has read: that comes to the server alone, and the socket is taken once", async () => {
  const served = await serve({ handler: ECHO, ...NOWHERE });
  const { socket, peer } = await accepted(false);
  const heard: string[] = [];
  const adopted: Array<Promise<{ readonly id: number }>> = [];
  socket.on('data', chunk => {
    heard.push(String(chunk));
    socket.pause();
    socket.unshift(chunk.subarray(4));
    adopted.push(served.server.adopt(socket, { unread: chunk.subarray(0, 4) }));
  });
  peer.write('one\ntwo\n');
  await peer.has('<two>');
  expect(heard).toEqual(['one\ntwo\n']);
  await Promise.all(adopted);
  expect(served.connections).toHaveLength(1);
  expect(peer.text.replaceAll('127.0.0.1', '')).toBe('<one><two>');
});

test('an fd that is a connection of the server already: it stays one', async () => {
  const served = await serve({ handler: ECHO, ...NOWHERE });
  const [ours, theirs] = sys.socketpair();
  onTestFinished(() => sys.close(theirs));
  const { id } = await served.server.adopt(ours);
  for (const options of [{}, { unread: Buffer.from('not mine\n') }]) {
    const error = await rejection(served.server.adopt({ fd: ours }, options));
    expect(error).toMatchObject({ code: 'EEXIST', fd: ours });
  }
  sys.write(theirs, Buffer.from('here\n'));
  const buffer = Buffer.alloc(100);
  let text = '';
  await until(() => {
    const n = sys.read(theirs, buffer);
    if (n > 0) text += buffer.toString('latin1', 0, n);
    return text.includes('>');
  }, 'an answer');
  expect(text).toBe('<here>');
  expect(served.server.send(id, 'x')).toBe(true);
  expect(served.server.stats()).toMatchObject({ accepted: 1, connections: 1 });
  expect(served.closes).toEqual([]);
});

test('a socket of Node that is refused stays as it was', async () => {
  const { server } = await serve({ handler: ECHO, ...NOWHERE, maxConnections: 1 });
  const [first, second] = [await accepted(true), await accepted(false)];
  second.socket.pause();
  second.peer.write('unread');
  await until(() => second.socket.readableLength === 6, 'what Node reads of a paused socket');
  const refusal = async (options: object | null): Promise<unknown> => {
    const error = await rejection(Reflect.apply(server.adopt, server, [second.socket, options]));
    expect(second.socket.destroyed).toBe(false);
    return Reflect.get(Object(error), 'code');
  };
  expect(await refusal({ unread: 'text' })).toBe('ERR_INVALID_ARG_TYPE');
  expect(await refusal(null)).toBe('ERR_INVALID_ARG_TYPE');
  await server.adopt(first.socket);
  expect(await refusal({})).toBe('ERR_OUT_OF_RANGE');
  await server.close({ timeout: 0 });
  expect(await refusal({})).toBe('ERR_INVALID_STATE');
  expect(String(second.socket.read())).toBe('unread');
  second.socket.end('no room');
  await second.peer.has('no room');
});
