/** Handlers that return promises: their connection's next message waits, nobody else does, and nothing of the connection is lost. */
import { expect, test } from 'vitest';
import { client, LINES, serve, settled } from './support/server.ts';
import { module, quiet, until } from './support/service.ts';

const SLEEP = `${LINES}
  const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
  export function close(connection, reason) { connection.post(['close', reason]); }
`;

test('one message after the other, though each takes a while', async () => {
  const source = `${SLEEP} export default async (line, connection) => {
    connection.send('(' + line); await pause(Math.random() * 4); connection.send(line + ')');
  };`;
  const { server, port } = await serve({ handler: module(source) });
  const peers = await Promise.all(Array.from({ length: 20 }, () => client(port)));
  const lines = Array.from({ length: 30 }, (_, i) => `${i}`);
  for (const peer of peers) peer.write(`${lines.join('\n')}\n`);
  const expected = lines.map(line => `(${line}${line})`).join('');
  for (const peer of peers) {
    await until(() => peer.text.length >= expected.length, 'all answers', 20_000);
    expect(peer.text).toBe(expected);
  }
  // Counted when it has ended, which is after its answer.
  await until(() => server.stats().messages === 600, 'all counted');
  expect(server.stats()).toMatchObject({ messages: 600, bytesKept: 0 });
});

test('promises that are settled already', async () => {
  const source = `${SLEEP} export default async (line, connection) => { connection.send(line + ';'); };`;
  const { server, port } = await serve({ handler: module(source) });
  const peer = await client(port);
  const lines = Array.from({ length: 1000 }, (_, i) => `${i}`);
  peer.write(`${lines.join('\n')}\n`);
  await until(() => server.stats().messages === 1000, 'all', 20_000);
  await until(() => peer.text === `${lines.join(';')};`, 'all answers');
});

test('a pending promise keeps no other connection waiting', async () => {
  const source = `${SLEEP} export default (line, connection) => {
    if (line === 'hang') return new Promise(() => {});
    connection.send(line);
  };`;
  const { port } = await serve({ handler: module(source), threads: 1 });
  for (let i = 0; i < 10; i++) (await client(port)).write('hang\n');
  const peer = await client(port);
  for (let i = 0; i < 20; i++) {
    peer.write('x\n');
    await until(() => peer.text.length === i + 1, 'an answer');
  }
});

test('at most `concurrency` of a thread at a time', async () => {
  const source = `${SLEEP} let now = 0;
    export default async (line, connection) => { connection.post(++now); await pause(5); now--; };`;
  const { messages, port } = await serve({ handler: module(source), threads: 1, concurrency: 3 });
  const peers = await Promise.all(Array.from({ length: 12 }, () => client(port)));
  for (const peer of peers) peer.write('x\nx\n');
  await until(() => messages.length === 24, 'all');
  const most = Math.max(...messages.map(({ value }) => Number(value)));
  expect(most).toBe(3);
});

test('others send to it, it is read no further, and it sends from where it is', async () => {
  const source = `${SLEEP} export default async (line, connection) => {
    if (line === 'tell') { connection.broadcast('told ', connection.id); return; }
    connection.send('a '); await pause(300); connection.send('b '); await pause(1); connection.send(line + ' ');
  };`;
  const { server, connections, port } = await serve({ handler: module(source) });
  const peer = await client(port);
  peer.write('one\ntwo\n');
  await peer.has('a ');
  const other = await client(port);
  other.write('tell\n');
  await peer.has('a told ');
  server.send(connections[0] ?? 0, 'main ');
  await peer.has('a told main ');
  await peer.has('two ');
  expect(peer.text).toBe('a told main b one a b two ');
});

test('a reset is noticed while the promise is pending; close() comes after it', async () => {
  const source = `${SLEEP} export default async (line, connection) => {
    connection.post('begun');
    await pause(400);
    connection.post(['settled', connection.open, connection.send('x'), connection.id > 0, connection.state[0] = 5]);
  };`;
  const served = await serve({ handler: module(source), stateBytes: 8 });
  const peer = await client(served.port);
  peer.write('x\nx\n');
  await until(() => served.messages.length === 1, 'its begin');
  peer.reset();
  await until(() => served.closes.length === 1, "its 'close'");
  expect(served.closes[0]?.reason).toBe('reset');
  expect(served.messages.map(({ value }) => value)).toEqual(['begun']);
  await until(() => served.messages.length === 3, 'its close()');
  expect(served.messages.map(({ value }) => value)).toEqual([
    'begun',
    ['settled', false, false, true, 5],
    ['close', 'reset'],
  ]);
  await settled(served, 1);
  await until(() => served.server.stats().service.registrations === 0, 'its registration to go');
});

test.each(['end', 'destroy'] as const)('the main thread %ss it while the promise is pending', async how => {
  const source = `${SLEEP} export default async (line, connection) => {
    connection.send('first '); await pause(300); connection.post(connection.open); connection.send('second ');
  };`;
  const served = await serve({ handler: module(source) });
  const peer = await client(served.port);
  peer.write('x\n');
  await peer.has('first ');
  expect(served.server[how](served.connections[0] ?? 0)).toBe(true);
  expect(await peer.all()).toBe('first ');
  await until(() => served.messages.length === 2, 'its close()');
  expect(served.messages.map(({ value }) => value)).toEqual([false, ['close', how === 'end' ? 'end' : 'destroyed']]);
  await settled(served, 1);
});

test('the peer ends while the promise is pending: what it had sent is handled', async () => {
  const source = `${SLEEP} export default async (line, connection) => { await pause(50); connection.send(line + ';'); };`;
  const served = await serve({ handler: module(source) });
  const peer = await client(served.port, true);
  peer.socket.end('one\ntwo\nthr');
  expect(await peer.all()).toBe('one;two;');
  await settled(served, 1);
  expect(served.closes[0]?.reason).toBe('end');
});

test('a rejection ends the connection, after what was sent', async () => {
  const source = `${SLEEP} export default async (line, connection) => {
    await pause(5); connection.send('before'); throw new RangeError(line);
  };`;
  const served = await serve({ handler: module(source) });
  const peer = await client(served.port);
  peer.write('one\ntwo\n');
  expect(await peer.all()).toBe('before');
  await settled(served, 1);
  expect(served.errors).toMatchObject([{ error: { name: 'RangeError', message: 'one' }, id: served.connections[0] }]);
  expect(served.closes[0]?.reason).toBe('handler');
  await quiet();
  expect(served.errors).toHaveLength(1);
});

test('what a promise has sent goes before the next answer, whatever has runs for the connection meanwhile', async () => {
  const source = `${LINES}
    export default (line, connection) => {
      if (line.startsWith('now')) connection.send(line + '\\n');
      else return new Promise(resolve => setImmediate(resolve)).then(() => { connection.send(line + '\\n'); });
    };`;
  const { port } = await serve({ handler: module(source), threads: 3 });
  const lines = Array.from({ length: 1500 }, (_, i) => `${i % 2 === 0 ? 'later' : 'now'} ${i}`);
  const peers = await Promise.all(Array.from({ length: 6 }, () => client(port)));
  // Each piece is an event: a run, on whichever thread, while a promise is pending on another.
  for (const peer of peers) peer.socket.setNoDelay();
  for (const line of lines) {
    for (const peer of peers) peer.write(`${line}\n`);
    await new Promise(resolve => setImmediate(resolve));
  }
  for (const peer of peers) await until(() => peer.text.includes(`${lines.at(-1)}\n`), 'all answers', 20_000);
  for (const peer of peers) expect(peer.text.trimEnd().split('\n')).toEqual(lines);
});

test.each(['throw', 'reject'])(
  'what can not even be read (%s) is an error that names the peer, and ends no thread',
  async how => {
    const source = `
    const trap = () => { throw new Error('trap'); };
    const unreadable = new Proxy({}, { get: trap, has: trap, getPrototypeOf: trap, ownKeys: trap });
    export default bytes => { if (String(bytes) === 'throw') throw unreadable; return Promise.reject(unreadable); };`;
    const { server, errors, connections, closes, port } = await serve({ handler: module(source) });
    const peer = await client(port);
    peer.write(how);
    await peer.all();
    await until(() => closes.length === 1 && errors.length === 1, 'an error and an end');
    const [id] = connections;
    expect(closes).toEqual([{ id, reason: 'handler' }]);
    expect(errors[0]).toMatchObject({ id, error: { message: expect.stringContaining('a handler threw object') } });
    expect(server.stats().service.restarts).toBe(0);
  },
);
