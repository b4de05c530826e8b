/**
 * Output: in order and whole, bounded for a peer that does not read, written by whoever may.
 *
 * @module-tag slow
 */
import { expect, onTestFinished, test } from 'vitest';
import { type Client, client, LINES, serve, settled } from './support/server.ts';
import { module, quiet, until } from './support/service.ts';

test('a peer that does not read: its messages wait, its socket is not read, memory is bounded', async () => {
  // Each line asks for 100,000 bytes.
  const source = `${LINES} export default (line, connection) => {
    connection.post(connection.send(line.padEnd(100_000, '.')) ? connection.pending : -connection.pending);
  };`;
  const { server, messages, port } = await serve({ handler: module(source), highWaterMark: 1 << 20 });
  const peer = await client(port);
  peer.socket.pause();
  const asked = 2000;
  peer.write(Array.from({ length: asked }, (_, i) => `${i}\n`).join(''));
  await until(() => server.stats().bytesKept > 1 << 20, 'more than highWaterMark kept');
  await quiet();
  const handled = server.stats().messages;
  expect(handled).toBeLessThan(500);
  expect(server.stats().bytesKept).toBeLessThan(2 << 20);
  const last = messages.at(-1)?.value;
  expect(last).toBeLessThan(-(1 << 20));
  expect(last).toBeGreaterThan(-(1 << 20) - 100_000 - 1);
  await quiet();
  expect(server.stats().messages).toBe(handled);
  peer.socket.resume();
  await until(() => peer.text.length === asked * 100_000, 'all of it', 20_000);
  for (let i = 0; i < asked; i++) expect(peer.text.slice(i * 100_000, i * 100_000 + 10)).toBe(`${i}`.padEnd(10, '.'));
  expect(server.stats()).toMatchObject({ messages: asked, bytesKept: 0, bytesWritten: asked * 100_000 });
});

test('a peer that does not read is a burden to no other', async () => {
  const source = `${LINES} export default (line, connection) => { connection.send(line.padEnd(+line, '.')); };`;
  const { server, port } = await serve({ handler: module(source), threads: 1 });
  for (let i = 0; i < 20; i++) {
    const peer = await client(port);
    peer.socket.pause();
    // The kernel takes some megabytes of it, how many differs (net.ipv4.tcp_wmem, tcp_rmem); the server keeps the rest.
    peer.write('12000000\n');
  }
  await until(() => server.stats().bytesKept > 20 << 20, 'much that is kept');
  const peer = await client(port);
  for (let i = 1; i <= 100; i++) {
    peer.write('10\n');
    await until(() => peer.text.length === 10 * i, 'an answer');
  }
});

test('strings are UTF-8, whole or in pieces', async () => {
  const source = `export default (bytes, connection) => { for (const part of ['héllo ', '', '🙂', 'z'.repeat(70_000) + 'é']) connection.send(part); connection.end('é'); };`;
  const { port } = await serve({ handler: module(source) });
  const peer = await client(port);
  peer.write('x');
  const text = Buffer.from(await peer.all(), 'latin1').toString();
  expect(text).toBe(`héllo 🙂${'z'.repeat(70_000)}éé`);
});

test.each([
  ['a number', '1'],
  ['an ArrayBuffer', 'new ArrayBuffer(8)'],
  ['a DataView', 'new DataView(new ArrayBuffer(8))'],
  ['null', 'null'],
  ['nothing', 'undefined'],
])('what cannot be sent: %s', async (_what, value) => {
  const source = `const codes = calls => calls.map(call => { try { return call(); } catch (error) { return error.code; } });
    export default (bytes, connection) => { const value = ${value}; connection.post(codes([
      () => connection.send(value), () => connection.sendTo(connection.id, value), () => connection.broadcast(value),
    ])); };`;
  const { server, messages, port } = await serve({ handler: module(source) });
  const peer = await client(port);
  peer.write('x');
  await until(() => messages.length === 1, 'the codes');
  expect(messages[0]?.value).toEqual(Array(3).fill('ERR_INVALID_ARG_TYPE'));
  // @ts-expect-error: of a wrong type
  expect(() => server.send(1, 1)).toThrow(TypeError);
  expect(peer.text).toBe('');
});

test('ids that are none, or of connections that have ended', async () => {
  const source = `export default (bytes, connection) => {
    const codes = [-1, 0.5, NaN, '1', 2 ** 53].map(id => { try { return connection.sendTo(id, 'x'); } catch (error) { return error.code; } });
    connection.post([...codes, connection.sendTo(0, 'x'), connection.sendTo(7, 'x'), connection.sendTo(2 ** 50, 'x'), connection.sendTo(connection.id + 2 ** 24, 'x')]);
  };`;
  const { server, messages, closes, connections, port } = await serve({ handler: module(source) });
  const gone = await client(port);
  gone.socket.end();
  await until(() => closes.length === 1, 'an end');
  const id = connections[0] ?? 0;
  expect([server.send(id, 'x'), server.end(id), server.destroy(id)]).toEqual([false, false, false]);
  expect([server.send(0, 'x'), server.end(2 ** 50), server.destroy(5)]).toEqual([false, false, false]);
  for (const wrong of [-1, 0.5, Number.NaN]) expect(() => server.send(wrong, 'x')).toThrow(RangeError);
  const peer = await client(port);
  peer.write('x');
  await until(() => messages.length === 1, 'the codes');
  const range = 'ERR_OUT_OF_RANGE';
  expect(messages[0]?.value).toEqual([range, range, range, 'ERR_INVALID_ARG_TYPE', range, false, false, false, false]);
  await quiet();
  expect(peer.text).toBe('');
});

test('the main thread sends, ends and broadcasts', async () => {
  const { server, connections, port } = await serve({ handler: module('export default () => {};') });
  const peers: Client[] = [];
  for (let i = 0; i < 5; i++) {
    peers.push(await client(port));
    await until(() => connections.length === i + 1, 'a connection');
  }
  const [first = 0, second = 0] = connections;
  expect(server.send(first, 'one ')).toBe(true);
  expect(server.send(first, Buffer.from('two '))).toBe(true);
  expect(server.broadcast('all ')).toBe(5);
  expect(server.broadcast('but one ', second)).toBe(4);
  expect(server.end(first)).toBe(true);
  expect(await peers[0]?.all()).toBe('one two all but one ');
  await peers[1]?.has('all ');
  await peers[2]?.has('all but one ');
  expect(peers[1]?.text).toBe('all ');
});

/**
 * Each of `count` clients is told by all of them, from handlers and from the main thread at once. A telling is a line of up to 5,000
 * bytes: sender, number, and a text made of both.
 */
test('messages to others come whole, once, and in order of each sender', async () => {
  const source = `${LINES}
    const text = (who, number) => who + ' ' + number + ' ' + String.fromCharCode(97 + number % 26).repeat((number * 7919) % 5000) + '\\n';
    export default async (line, connection) => {
      const [how, who, count, ids] = line.split(' ');
      for (let number = 0; number < +count; number++) {
        if (how === 'later' && number % 50 === 49) await new Promise(resolve => setImmediate(resolve));
        if (ids) for (const id of JSON.parse(ids)) connection.sendTo(id, text(who, number));
        else connection.broadcast(text(who, number));
      }
    };`;
  const { server, connections, port } = await serve({ handler: module(source) });
  const count = 12;
  const rounds = 300;
  const peers: Client[] = [];
  for (let i = 0; i < count; i++) peers.push(await client(port));
  await until(() => connections.length === count, 'all connections');
  const ids = JSON.stringify(connections);
  for (const [i, peer] of peers.entries()) {
    peer.write(`${i % 2 === 0 ? 'later' : 'at-once'} ${i} ${rounds}${i % 3 === 0 ? ` ${ids}` : ''}\n`);
  }
  const text = (who: string, number: number): string =>
    `${who} ${number} ${String.fromCharCode(97 + (number % 26)).repeat((number * 7919) % 5000)}\n`;
  for (let number = 0; number < rounds; number++) {
    expect(server.broadcast(text('main', number))).toBe(count);
    if (number % 10 === 9) await new Promise(resolve => setImmediate(resolve));
  }
  const senders = [...peers.keys()].map(String).concat('main');
  const expected = senders.length * rounds;
  await until(() => peers.every(peer => peer.text.split('\n').length - 1 === expected), 'all messages', 25_000);
  for (const peer of peers) {
    const next = new Map(senders.map(who => [who, 0]));
    for (const line of peer.text.split('\n').slice(0, -1)) {
      const [who = '', number = ''] = line.split(' ');
      expect(Number(number)).toBe(next.get(who));
      expect(`${line}\n` === text(who, Number(number))).toBe(true);
      next.set(who, Number(number) + 1);
    }
    expect([...next.values()].every(number => number === rounds)).toBe(true);
  }
  expect(server.stats().bytesKept).toBe(0);
});

test('sending to connections that come and go', async () => {
  const source = `${LINES} export default (line, connection) => { connection.broadcast(line + '\\n'); };`;
  const served = await serve({ handler: module(source) });
  const steady = await Promise.all([client(served.port), client(served.port)]);
  const timer = setInterval(() => {
    served.server.broadcast('main\n');
    for (const peer of steady) peer.write('told\n');
  }, 1);
  onTestFinished(() => clearInterval(timer));
  for (let round = 0; round < 60; round++) {
    const peers = await Promise.all(Array.from({ length: 10 }, () => client(served.port)));
    for (const [i, peer] of peers.entries()) {
      if (i % 2 === 0) peer.socket.pause();
      if (i % 3 === 0) peer.reset();
      else peer.socket.end();
      peer.socket.resume();
    }
    await Promise.all(peers.map(peer => peer.closed));
    for (const peer of peers) expect(peer.text).toMatch(/^(main\n|told\n)*(m(ai?n?)?|t(ol?d?)?)?$/);
  }
  clearInterval(timer);
  for (const peer of steady) peer.socket.end();
  await settled(served, 602);
  expect(served.errors).toEqual([]);
});

test('nothing is taken behind an end, also while its thread is at work', async () => {
  const turn = new Int32Array(new SharedArrayBuffer(4));
  const source = `
    let turn;
    export function setup(shared) { turn = shared; }
    export default (bytes, connection) => {
      Atomics.store(turn, 0, 1);
      Atomics.wait(turn, 0, 1, 10_000);
      connection.send('answer');
    };`;
  const { server, connections, port } = await serve({ handler: module(source), handlerData: turn });
  const peer = await client(port);
  peer.write('x');
  await until(() => Atomics.load(turn, 0) === 1, 'a thread at work');
  const [id = 0] = connections;
  expect([server.send(id, ' one'), server.end(id)]).toEqual([true, true]);
  expect([server.send(id, ' two'), server.end(id), server.broadcast(' all')]).toEqual([false, false, 0]);
  Atomics.store(turn, 0, 2);
  Atomics.notify(turn, 0);
  expect(await peer.all()).toBe('answer one');
});

test('many small ones that are kept take little more memory than their bytes', async () => {
  const { server, connections, port } = await serve({ handler: module('export default () => {};') });
  const peer = await client(port);
  peer.socket.pause();
  await until(() => connections.length === 1, 'a connection');
  const [id = 0] = connections;
  const start = 8 << 20;
  expect(server.send(id, Buffer.alloc(start, 'x'))).toBe(true);
  await until(() => server.stats().bytesWritten > 0 && server.stats().bytesKept > 0, 'a peer that takes no more');
  await quiet();
  const before = server.stats().bytesKept;
  const texts = Array.from({ length: 10_000 }, (_, i) => `${i}`.padEnd(49, '.').concat('\n'));
  for (const [i, text] of texts.entries()) {
    expect(server.send(id, text)).toBe(true);
    if (i % 100 === 99) await new Promise(setImmediate);
  }
  const bytes = texts.length * 50;
  await until(() => server.stats().bytesKept - before < 1.2 * bytes, 'as much as was sent');
  expect(server.stats().bytesKept - before).toBeGreaterThan(0.9 * bytes);
  peer.socket.resume();
  await until(() => peer.text.length === start + bytes, 'all of it', 20_000);
  expect(peer.text.slice(start)).toBe(texts.join(''));
  await until(() => server.stats().bytesKept === 0, 'nothing kept');
});
