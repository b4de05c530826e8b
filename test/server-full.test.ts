/**
 * Servers whose threads all have as many promises pending as may be: no message begins, and all else goes on, above all what the
 * promises wait for. What has come meanwhile is served as soon as any thread has room.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import * as tls from 'node:tls';
import type { ServerOptions } from 'epoll-pool/server';
import { expect, onTestFinished, test } from 'vitest';
import { certificate } from './support/certificates.ts';
import { Client, client, LINES, type Served, serve, settled } from './support/server.ts';
import { module, until } from './support/service.ts';
import { within } from './support/within.ts';

const WORKER = new URL('../dist/worker/index.js', import.meta.url).href;

const SIZES: ReadonlyArray<[threads: number, concurrency: number]> = [
  [1, 1],
  [1, 4],
  [2, 1],
  [2, 4],
];

/** `hang N` is pending until its gate opens; all else is answered at once. */
const GATED = module(`${LINES}
  let gates;
  const waiting = new Set();
  export function setup(shared) {
    gates = shared;
    setInterval(() => {
      for (const one of waiting) if (Atomics.load(gates, one.gate) === 1 && waiting.delete(one)) one.resolve();
    }, 2).unref();
  }
  export function open(connection) { connection.send('hello;'); }
  export default (line, connection) => {
    const [what, gate] = line.split(' ');
    if (what !== 'hang' && what !== 'die') return void connection.send(line + ';');
    connection.post(line);
    if (what === 'die') {
      setInterval(() => { if (Atomics.load(gates, Number(gate)) === 1) process.exit(3); }, 2);
      return new Promise(() => {});
    }
    return new Promise(resolve => waiting.add({ gate: Number(gate), resolve })).then(() => { connection.send(line + ';'); });
  };`);

class Gates {
  readonly words = new Int32Array(new SharedArrayBuffer(64));

  open(gate: number): void {
    Atomics.store(this.words, gate, 1);
  }
}

/** A server of which every thread is full, but for `room` promises: client i hangs at gate i. */
async function full(
  options: Partial<ServerOptions> & { readonly threads: number; readonly concurrency: number },
  room = 0,
): Promise<{ readonly served: Served; readonly gates: Gates; readonly hanging: Client[] }> {
  const gates = new Gates();
  const served = await serve({ handler: GATED, handlerData: gates.words, ...options });
  const hanging: Client[] = [];
  for (let i = 0; i < options.threads * options.concurrency - room; i++) {
    const peer = options.tls === undefined ? await client(served.port) : await secure(served);
    hanging.push(peer);
    peer.write(`hang ${i}\n`);
    await until(() => served.messages.length === i + 1, `${i + 1} that hang`);
  }
  return { served, gates, hanging };
}

const { key, cert } = certificate();

async function secure({ port }: Served): Promise<Client> {
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: cert });
  const made = new Client(socket);
  await within(once(socket, 'secureConnect'), undefined, 'a handshake');
  return made;
}

function http(source: string): string {
  return module(`import { fetchHandler, http } from '${WORKER}'; export const protocol = http(); ${source}`);
}

const GET = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';

// ---- what promises wait for ----------------------------------------------------------------------------------

test.each(SIZES)(
  'bodies that are streamed, on every promise that may be: %i threads, %i each',
  async (threads, each) => {
    const MIB = 1 << 20;
    const pieces = 16;
    const handler = http(`
    let counts;
    export function setup(shared) { counts = shared; }
    export default fetchHandler(() => {
      let n = 0;
      Atomics.add(counts, 0, 1);
      return new Response(new ReadableStream({
        async pull(to) { if (n++ === ${pieces}) to.close(); else to.enqueue(new Uint8Array(${MIB})); },
      }));
    });`);
    const counts = new Int32Array(new SharedArrayBuffer(8));
    const served = await serve({ handler, handlerData: counts, threads, concurrency: each });
    const bytes: number[] = [];
    const sockets: Socket[] = [];
    for (let i = 0; i < threads * each; i++) {
      const socket = connect(served.port, '127.0.0.1');
      onTestFinished(() => void socket.destroy());
      sockets.push(socket);
      bytes[i] = 0;
      socket.write(GET);
    }
    // More than sockets take: none ends before it is read.
    await until(() => Atomics.load(counts, 0) === sockets.length, 'all to have begun');
    const late = await client(served.port);
    late.write(GET);
    sockets.forEach((socket, i) => {
      socket.on('data', data => {
        bytes[i] = (bytes[i] ?? 0) + data.length;
      });
    });
    await until(() => sockets.every(socket => socket.closed), 'all to be done');
    expect(bytes.every(count => count > pieces * MIB)).toBe(true);
    expect((await late.all()).length).toBeGreaterThan(pieces * MIB);
    await settled(served, sockets.length + 1);
  },
);

test.each(SIZES)('request.signal, of clients that reset: %i threads, %i each', async (threads, each) => {
  const handler = http(`
    let counts;
    export function setup(shared) { counts = shared; }
    export default fetchHandler(request => {
      if (request.url.endsWith('/hi')) return new Response('hi');
      Atomics.add(counts, 0, 1);
      return new Promise(resolve => request.signal.addEventListener('abort', () => { Atomics.add(counts, 1, 1); resolve(new Response()); }));
    });`);
  const counts = new Int32Array(new SharedArrayBuffer(8));
  const served = await serve({ handler, handlerData: counts, threads, concurrency: each });
  const peers: Client[] = [];
  for (let i = 0; i < threads * each; i++) peers.push(await client(served.port));
  for (const peer of peers) peer.write(GET);
  await until(() => Atomics.load(counts, 0) === peers.length, 'all to have begun');
  const late = await client(served.port);
  late.write(GET.replace('/', '/hi'));
  for (const peer of peers) peer.reset();
  expect(await late.all()).toMatch(/hi$/);
  await settled(served, peers.length + 1);
  expect(served.closes.filter(({ reason }) => reason === 'reset')).toHaveLength(peers.length);
  await until(() => Atomics.load(counts, 1) === peers.length, 'every signal');
});

// ---- what others wait for ------------------------------------------------------------------------------------

test.each(SIZES)('all else of connections goes on: %i threads, %i each', async (threads, concurrency) => {
  const { served, gates, hanging } = await full({ threads, concurrency, idleTimeout: 400 });
  const { server, connections } = served;
  const idle = await client(served.port);
  const parked = await client(served.port);
  const cut = await client(served.port);
  for (const peer of [idle, parked, cut]) await peer.has('hello;');
  for (const peer of [parked, cut]) peer.write('one\ntwo\n');
  // A peer that resets, though nobody reads what it has sent.
  cut.reset();
  await until(() => served.closes.some(({ reason }) => reason === 'reset'), 'the reset');
  // One that says nothing has its time-out; those that wait for an answer have not.
  await idle.all();
  await until(() => served.closes.length === 2, 'its end');
  expect(served.closes.map(({ reason }) => reason)).toEqual(['reset', 'idle']);
  expect(server.send(connections.at(-2) ?? 0, 'sent;')).toBe(true);
  await parked.has('sent;');
  expect(parked.text).toBe('hello;sent;');
  server.broadcast('told;');
  for (const peer of [...hanging, parked]) await peer.has('told;');
  // A handler is at work for it.
  server.destroy(connections[0] ?? 0);
  await hanging[0]?.all();
  await until(() => served.closes.at(-1)?.reason === 'destroyed', 'its end');
  for (let i = 0; i < hanging.length; i++) gates.open(i);
  await parked.has('hello;sent;told;one;two;');
  for (const [i, peer] of hanging.entries()) if (i > 0) await peer.has(`hello;told;hang ${i};`);
});

test.each(SIZES)('handshakes: %i threads, %i each', async (threads, concurrency) => {
  const { served, gates } = await full({ threads, concurrency, tls: { key, cert }, handshakeTimeout: 500 });
  const late = await secure(served);
  await late.has('hello;');
  // A client that never speaks.
  const silent = await client(served.port);
  await silent.all();
  await until(() => served.server.stats().closed.handshake === 1, 'its time-out');
  late.write('one\n');
  gates.open(0);
  await late.has('hello;one;');
});

test('who is parked is served as soon as any thread has room', async () => {
  const { served, gates } = await full({ threads: 2, concurrency: 2 });
  const peers = await Promise.all(Array.from({ length: 40 }, () => client(served.port)));
  for (const peer of peers) await peer.has('hello;');
  for (const peer of peers) peer.write('one\ntwo\n');
  // Who comes after them has had its run.
  for (let i = 0; i < 3; i++) await (await client(served.port)).has('hello;');
  gates.open(3);
  // Three hang on: one run after the other, where there is room.
  for (const peer of peers) await peer.has('hello;one;two;');
  const last = await client(served.port);
  last.write('hang 9\nthree\n');
  await until(() => served.messages.length === 5, 'the one that hangs too');
  const late = await client(served.port);
  await late.has('hello;');
  late.write('late\n');
  gates.open(9);
  await last.has('hello;hang 9;three;');
  await late.has('hello;late;');
});

test.each([1, 2, 3])('each message once, in order, with more clients than promises: %i threads', async threads => {
  const source = `${LINES}
    let now = 0;
    export default async (line, connection) => {
      if (++now > 2) connection.post(now);
      await new Promise(resolve => setTimeout(resolve, Math.random() * 3));
      now--;
      connection.send(line + ';');
    };`;
  const served = await serve({ handler: module(source), threads, concurrency: 2 });
  const peers = await Promise.all(Array.from({ length: 64 }, () => client(served.port)));
  const lines = Array.from({ length: 50 }, (_, i) => `${i}`);
  const expected = `${lines.join(';')};`;
  // Half of them all at once, the others line by line.
  await Promise.all(
    peers.map(async (peer, i) => {
      if (i % 2 === 0) peer.write(`${lines.join('\n')}\n`);
      else {
        for (const line of lines) {
          peer.write(`${line}\n`);
          await until(() => peer.text.endsWith(`${line};`), `the answer to ${line}`, 25_000);
        }
      }
      await until(() => peer.text.length >= expected.length, 'all answers', 25_000);
    }),
  );
  for (const peer of peers) expect(peer.text).toBe(expected);
  expect(served.messages).toEqual([]);
  await until(() => served.server.stats().messages === 3200, 'all counted');
  for (const peer of peers) peer.socket.end();
  await settled(served, 64);
});

// ---- deaths, and the end -------------------------------------------------------------------------------------

test.each([1, 2])('a thread that dies while all are full: of %i', async threads => {
  const { served, gates, hanging } = await full({ threads, concurrency: 2 }, 1);
  const deadly = await client(served.port);
  deadly.write('die 12\n');
  await until(() => served.messages.length === 2 * threads, 'it to be pending');
  const parked = await Promise.all(Array.from({ length: 10 }, () => client(served.port)));
  for (const peer of parked) await peer.has('hello;');
  for (const peer of parked) peer.write('one\n');
  gates.open(12);
  await deadly.all();
  for (const peer of parked) await peer.has('hello;one;');
  // It had two, and the other thread those that are left.
  await until(() => served.closes.length === 2, 'the ends of those that it had');
  expect(served.server.stats().closed.thread).toBe(2);
  // Full again, and it goes on again.
  const count = served.messages.length;
  for (const i of [0, 1]) parked[i]?.write('hang 10\n');
  await until(() => served.messages.length === count + 2, 'two more');
  parked[2]?.write('two\n');
  const late = await client(served.port);
  await late.has('hello;');
  expect(served.server.send(served.connections.at(-1) ?? 0, 'sent;')).toBe(true);
  await late.has('sent;');
  expect(parked[2]?.text).toBe('hello;one;');
  gates.open(10);
  await parked[2]?.has('two;');
  for (let i = 0; i < hanging.length; i++) gates.open(i);
  await until(() => served.server.stats().messages >= count - 2, 'the others to be done');
});

test.each(SIZES)(
  'close() waits for what is pending, and for nothing else: %i threads, %i each',
  async (threads, each) => {
    const { served, gates, hanging } = await full({ threads, concurrency: each });
    const parked = await client(served.port);
    const idle = await client(served.port);
    for (const peer of [parked, idle]) await peer.has('hello;');
    parked.write('one\n');
    const closed = served.server.close();
    expect(await idle.all()).toBe('hello;');
    expect(await parked.all()).toBe('hello;');
    for (let i = 0; i < hanging.length; i++) gates.open(i);
    await within(closed);
    for (const [i, peer] of hanging.entries()) expect(await peer.all()).toBe(`hello;hang ${i};`);
    expect(served.closes.map(({ reason }) => reason)).toEqual(
      Array.from({ length: hanging.length + 2 }, () => 'server'),
    );
  },
);

test.each(SIZES)('close() with a timeout: %i threads, %i each', async (threads, each) => {
  const { served } = await full({ threads, concurrency: each });
  const idle = await client(served.port);
  await idle.has('hello;');
  await within(served.server.close({ timeout: 200 }), 5000, 'the end');
  expect(await idle.all()).toBe('hello;');
  expect(served.closes).toHaveLength(threads * each + 1);
});
