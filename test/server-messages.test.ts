/** What comes becomes messages: whole, in order, each once, however it was cut on the way. */
import { expect, test } from 'vitest';
import { type Client, client, LINES, serve, settled } from './support/server.ts';
import { module, until } from './support/service.ts';

const ECHO = `${LINES} export default (line, connection) => { connection.send('<' + line + '>'); };`;

test('two messages cut at every place', async () => {
  const served = await serve({ handler: module(ECHO) });
  const text = 'first line\nsecond\n';
  const clients = await Promise.all(Array.from(text, () => client(served.port)));
  clients.forEach((peer, at) => {
    peer.socket.setNoDelay();
    peer.write(text.slice(0, at));
  });
  await until(() => served.server.stats().bytesRead === (text.length * (text.length - 1)) / 2, 'the first parts');
  clients.forEach((peer, at) => {
    peer.write(text.slice(at));
  });
  for (const peer of clients) await peer.has('<second>');
  expect(clients.map(peer => peer.text)).toEqual(clients.map(() => '<first line><second>'));
  // Counted when it has ended, which is after its answer.
  await until(() => served.server.stats().messages === 2 * text.length, 'all counted');
  expect(served.server.stats()).toMatchObject({ bytesKept: 0, connections: text.length });
});

test('byte by byte, pipelined, and empty ones', async () => {
  const { port } = await serve({ handler: module(ECHO) });
  const peer = await client(port);
  peer.socket.setNoDelay();
  for (const byte of 'slow\n') {
    peer.write(byte);
    await new Promise(resolve => setImmediate(resolve));
  }
  const many = Array.from({ length: 20_000 }, (_, i) => (i % 7 === 0 ? '' : `line ${i}`));
  peer.write(`${many.join('\n')}\n`);
  const answer = `<slow>${many.map(line => `<${line}>`).join('')}`;
  await until(() => peer.text.length >= answer.length, 'all answers');
  expect(peer.text === answer).toBe(true);
});

test.each([
  ['that says its length only at its end', LINES],
  [
    'that says its length first',
    `export const protocol = {
      frame: input => (input.length < 4 ? 0 : 4 + input.readUInt32BE(0)),
      decode: bytes => bytes.toString('latin1', 4),
    };`,
  ],
])('long messages, one %s, in pieces between short ones', async (_what, protocol) => {
  const source = `${protocol}
    import { createHash } from 'node:crypto';
    export default (text, connection) => {
      connection.send(text.length + ' ' + createHash('sha1').update(text, 'latin1').digest('hex') + '\\n');
    };`;
  const { server, port } = await serve({ handler: module(source), maxMessage: 4 << 20 });
  const { createHash } = await import('node:crypto');
  const peer = await client(port);
  const lengths = [
    5, 1023, 1024, 4095, 4096, 4097, 65_535, 65_536, 65_537, 200_000, 1_000_000, 3, 3_000_000, 0, 70_000,
  ];
  const texts = lengths.map((length, i) => String.fromCharCode(97 + i).repeat(length));
  const bytes = texts.map(text => {
    if (protocol === LINES) return Buffer.from(`${text}\n`, 'latin1');
    const head = Buffer.alloc(4);
    head.writeUInt32BE(text.length);
    return Buffer.concat([head, Buffer.from(text, 'latin1')]);
  });
  const all = Buffer.concat(bytes);
  for (let at = 0, step = 1; at < all.length; at += step, step = 1 + ((step * 7919) % 90_001)) {
    if (!peer.socket.write(all.subarray(at, at + step)))
      await new Promise(resolve => peer.socket.once('drain', resolve));
    if (step % 3 === 0) await new Promise(resolve => setTimeout(resolve, 1));
  }
  const expected = texts
    .map(text => `${text.length} ${createHash('sha1').update(text, 'latin1').digest('hex')}\n`)
    .join('');
  await until(() => peer.text.length >= expected.length, 'all answers');
  expect(peer.text).toBe(expected);
  expect(server.stats().bytesKept).toBe(0);
});

test('a message of unknown length that trickles in: frame() is shown each byte as unseen once', async () => {
  const source = `
    let shown = 0;
    export const protocol = { frame(input, seen) { shown += input.length - seen; return input.indexOf(10, seen) + 1; } };
    export default (line, connection) => { connection.post(shown); connection.send('.'); };`;
  const { messages, server, port } = await serve({ handler: module(source), threads: 1 });
  const peer = await client(port);
  peer.socket.setNoDelay();
  for (const [round, length] of [20_000, 20_000].entries()) {
    const before = server.stats().bytesRead;
    for (let sent = 0; sent < length; sent += 100) {
      peer.write('x'.repeat(100));
      await until(() => server.stats().bytesRead >= before + sent + 100, 'these bytes');
    }
    peer.write('\n');
    await until(() => messages.length === round + 1, 'the message');
  }
  expect(messages.map(({ value }) => value)).toEqual([20_001, 40_002]);
});

test('without a protocol, a message is whatever has come', async () => {
  const { port } = await serve({
    handler: module('export default (bytes, connection) => { connection.send(bytes); };'),
    maxMessage: 100,
  });
  const peer = await client(port);
  peer.write('x'.repeat(100_000));
  await until(() => peer.text.length === 100_000, 'all of it');
});

test.each([
  ['throws', '() => { throw new Error("garbage"); }'],
  ['gives a negative length', '() => -1'],
  ['gives half a byte', '() => 0.5'],
  ['gives NaN', '() => NaN'],
  ['gives an infinite length', '() => Infinity'],
  ['gives a string', '() => "12"'],
  ['gives nothing', '() => undefined'],
])('frame() that %s ends the connection, after what refuse() gives', async (_what, frame) => {
  const source = `
    export const protocol = { frame: ${frame}, refuse: error => Buffer.from('no: ' + error.name) };
    export default () => {};`;
  const served = await serve({ handler: module(source) });
  const peer = await client(served.port);
  peer.write('x');
  expect(await peer.all()).toMatch(/^no: (Error|TypeError)$/);
  await settled(served, 1);
  expect(served.closes).toEqual([{ id: served.connections[0], reason: 'protocol' }]);
  expect(served.errors).toEqual([]);
});

test('decode() that throws', async () => {
  const source = `
    export const protocol = {
      frame: (input, seen) => input.indexOf(10, seen) + 1,
      decode(bytes) { if (bytes[0] === 33) throw new Error('!'); return bytes.toString(); },
    };
    export default (line, connection) => { connection.send(line); };`;
  const served = await serve({ handler: module(source) });
  const peer = await client(served.port);
  peer.write('good\n!bad\nnever\n');
  expect(await peer.all()).toBe('good\n');
  await settled(served, 1);
  expect(served.closes[0]?.reason).toBe('protocol');
});

test.each([2 ** 53 - 1, 2 ** 53, 2 ** 60, Number.MAX_VALUE])(
  'a length of %d is too long, and no fault of frame()',
  async length => {
    const source = `
    export const protocol = {
      frame: input => (input.length < 8 ? 0 : 8 + input.readDoubleBE(0)),
      refuse: error => Buffer.from(error.code),
    };
    export default () => {};`;
    const served = await serve({ handler: module(source) });
    const peer = await client(served.port);
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(length);
    peer.socket.write(bytes);
    expect(await peer.all()).toBe('ERR_OUT_OF_RANGE');
    await settled(served, 1);
    expect(served.closes.map(({ reason }) => reason)).toEqual(['too-long']);
  },
);

test.each([
  ['in one piece', 1],
  ['in pieces', 40],
])('a message longer than maxMessage, %s', async (_what, pieces) => {
  const source = `${LINES}
    protocol.refuse = error => error.code;
    protocol.refuse = error => Buffer.from(error.code);
    export default (line, connection) => { connection.send(line + ';'); };`;
  const served = await serve({ handler: module(source), maxMessage: 10_000 });
  const right = await client(served.port);
  right.write(`${'r'.repeat(9999)}\n`);
  await right.has(';');
  const peer = await client(served.port);
  peer.write('short\n');
  for (let i = 0; i < pieces; i++) {
    peer.write('x'.repeat(20_000 / pieces));
    await new Promise(resolve => setTimeout(resolve, 1));
  }
  expect(await peer.all()).toBe('short;ERR_OUT_OF_RANGE');
  await until(() => served.closes.length === 1, 'its end');
  expect(served.closes[0]?.reason).toBe('too-long');
  expect(right.ended).toBe(false);
});

test("bytes in the thread's buffer stay as they are until the promise settles", async () => {
  const source = `
    export const protocol = { frame: (input, seen) => input.indexOf(10, seen) + 1 };
    export default async (bytes, connection) => {
      await new Promise(resolve => setTimeout(resolve, 30));
      connection.send(bytes);
    };`;
  const { port } = await serve({ handler: module(source), threads: 1 });
  const peers: Client[] = [];
  for (let i = 0; i < 50; i++) {
    const peer = await client(port);
    peer.write(`${String(i).repeat(200)}\n${'again'.repeat(i)}\n`);
    peers.push(peer);
  }
  for (const [i, peer] of peers.entries()) {
    const expected = `${String(i).repeat(200)}\n${'again'.repeat(i)}\n`;
    await until(() => peer.text.length >= expected.length, 'both');
    expect(peer.text).toBe(expected);
  }
});

test('one thread: who sends slow messages without waiting for answers does not keep others from theirs', async () => {
  const source = `${LINES} export default (line, connection) => {
    if (line === 'slow') for (const until = performance.now() + 15; performance.now() < until; );
    connection.send(line + ';');
  };`;
  const { port } = await serve({ handler: module(source), threads: 1 });
  const [slow, quick] = [await client(port), await client(port)];
  slow.write('slow\n'.repeat(1000));
  await slow.has('slow;');
  for (let i = 1; i <= 5; i++) {
    const before = slow.text.length;
    quick.write('quick\n');
    await until(() => quick.text.length === i * 'quick;'.length, 'an answer');
    expect((slow.text.length - before) / 'slow;'.length).toBeLessThan(30);
  }
});

test('one thread: a run ends with the message that has taken too long, so that others wait for one or two', async () => {
  const source = `${LINES}
    let slow = 0;
    export default (line, connection) => {
      if (line === 'slow') {
        slow++;
        for (const until = performance.now() + 15; performance.now() < until; );
      } else {
        connection.send(slow + ';');
        slow = 0;
      }
    };`;
  const { port } = await serve({ handler: module(source), threads: 1 });
  const [slow, quick] = [await client(port), await client(port)];
  // More than there is time for.
  slow.write('slow\n'.repeat(5000));
  for (let i = 1; i <= 20; i++) {
    quick.write('quick\n');
    await until(() => quick.text.split(';').length === i + 1, 'an answer');
  }
  // How many slow ones came before each quick one: the process of this test may have been late with some.
  const waits = quick.text.split(';', 20).slice(1).map(Number);
  waits.sort((a, b) => a - b);
  expect(waits[9]).toBeGreaterThan(0);
  expect(waits[9]).toBeLessThanOrEqual(3);
});
