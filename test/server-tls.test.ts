/** Servers with TLS: handshakes in the threads, the same promises as in the clear. */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { Server } from 'epoll-pool/server';
import { expect, test } from 'vitest';
import { certificate } from './support/certificates.ts';
import { Client, LINES, type Served, serve, settled } from './support/server.ts';
import { module, quiet, until } from './support/service.ts';
import { thread } from './support/thread.ts';
import { rejection, within } from './support/within.ts';

const identity = certificate();
const { key, cert } = identity;
const TLS = { key, cert };
const ECHO = module(`${LINES}
  export function open(connection) { connection.post('open'); }
  export function close(connection, reason) { connection.post(['close', reason]); }
  export default (line, connection) => {
    if (line === 'big') connection.send(Buffer.alloc(8 << 20, 97));
    if (line === 'tls') { const { alpn, servername, peerCertificate } = connection.tls; connection.post([alpn, servername, peerCertificate?.length > 0]); }
    if (line === 'all') connection.broadcast('told\\n');
    if (line === 'end') connection.end('last');
    if (line === 'throw') throw new Error('thrown');
    if (line === 'later') return new Promise(resolve => setTimeout(resolve, 50)).then(() => { connection.send('later;'); });
    connection.send(line + ';');
  };`);

interface Secure extends Client {
  readonly socket: tls.TLSSocket;
  /** What lies beneath it. */
  readonly plain: net.Socket;
}

async function client(served: Served, options: tls.ConnectionOptions = {}): Promise<Secure> {
  const plain = net.connect(served.port, '127.0.0.1');
  plain.on('error', () => {});
  const socket = tls.connect({ socket: plain, ca: cert, servername: 'localhost', ...options });
  const made = new Client(socket);
  await within(once(socket, 'secureConnect'), undefined, 'a handshake');
  return Object.assign(made, { socket, plain });
}

test('lines, whole and in pieces, both versions; sessions are resumed', async () => {
  const served = await serve({ handler: ECHO, tls: TLS });
  const texts = Array.from({ length: 200 }, (_, i) => `${i}`.padEnd((i * 397) % 30_000, 'x'));
  const wire = { read: 0, written: 0 };
  const count = ({ plain }: Secure): void => {
    wire.read += plain.bytesRead;
    wire.written += plain.bytesWritten;
  };
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const peer = await client(served, { minVersion: version, maxVersion: version });
    for (const text of texts) peer.write(`${text}\n`);
    await until(() => peer.text.length >= texts.join(';').length + 1, 'all answers');
    expect(peer.text === `${texts.join(';')};`).toBe(true);
    const ticket = peer.socket.getSession();
    peer.socket.end();
    await peer.all();
    count(peer);
    const again = await client(served, { session: ticket, minVersion: version, maxVersion: version });
    expect(again.socket.isSessionReused()).toBe(true);
    again.write('end\n');
    expect(await again.all()).toBe('last');
    count(again);
  }
  await settled(served, 4);
  const { bytesRead, bytesWritten } = served.server.stats();
  expect({ bytesRead, bytesWritten }).toEqual({ bytesRead: wire.written, bytesWritten: wire.read });
  expect(served.closes.map(({ reason }) => reason)).toEqual(Array(4).fill('end'));
  expect(served.server.stats().messages).toBe(402);
});

test('what is told of a connection', async () => {
  const own = certificate({ name: 'client' });
  const served = await serve({
    handler: ECHO,
    tls: { ...TLS, requestCert: true, rejectUnauthorized: false, ALPNProtocols: ['one', 'two'] },
  });
  const peer = await client(served, { ALPNProtocols: ['two'], key: own.key, cert: own.cert });
  const plain = await client(served);
  peer.write('tls\n');
  plain.write('tls\n');
  await until(() => served.messages.length === 4, 'both');
  const told = served.messages.map(({ value }) => value).filter(value => value !== 'open');
  expect(told).toEqual(
    expect.arrayContaining([
      ['two', 'localhost', true],
      [undefined, 'localhost', false],
    ]),
  );
});

test('what is told of a connection that another thread has at the moment', async () => {
  const handler = module(`${LINES}
    import { threadId } from 'node:worker_threads';
    let kept;
    const block = ms => { for (const end = performance.now() + ms; performance.now() < end; ); };
    export default (line, connection) => {
      if (line === 'keep') { kept = connection; connection.post(['kept', threadId]); }
      if (line === 'block') { connection.post(['blocks', threadId]); block(200); }
      if (line === 'ask') connection.post(['told', threadId, kept?.tls?.servername]);
      if (line === 'busy') block(5);
    };`);
  const served = await serve({ handler, tls: TLS });
  const [one, other] = [await client(served), await client(served)];
  const told = (what: string): unknown[] =>
    served.messages.map(({ value }) => value).filter(value => Array.isArray(value) && value[0] === what);
  const threads = () => new Set(told('kept').map(value => (Array.isArray(value) ? value[1] : undefined)));
  // Both threads have an object of it that was never asked.
  for (let count = 1; threads().size < 2 && count < 500; count++) {
    other.write('busy\n');
    one.write('keep\n');
    await until(() => told('kept').length === count, 'kept');
  }
  expect(threads().size).toBe(2);
  one.write('block\n');
  await until(() => told('blocks').length === 1, 'a thread that is busy with it');
  other.write('ask\n');
  await until(() => told('told').length === 1, 'what is told');
  expect(told('told')).toEqual([['told', expect.any(Number), 'localhost']]);
});

test('much output for a peer that does not read, broadcast, promises', async () => {
  const served = await serve({ handler: ECHO, tls: TLS });
  const [slow, other] = await Promise.all([client(served), client(served)]);
  slow.socket.pause();
  slow.write('big\nlater\n');
  await until(() => served.server.stats().bytesKept > 1 << 20, 'output that is kept');
  other.write('all\n');
  await other.has('told\nall;');
  served.server.broadcast('main\n');
  await other.has('main\n');
  slow.socket.resume();
  await slow.has('later;');
  const text = 'a'.repeat(8 << 20);
  expect(slow.text.slice(0, text.length) === text).toBe(true);
  expect(slow.text.slice(text.length)).toMatch(/^(told\nmain\nbig;|big;told\nmain\n)later;$/);
  expect(served.server.stats().bytesKept).toBe(0);
});

test("'connection' comes after the handshake; handshakes that fail are counted, and no more", async () => {
  const served = await serve({ handler: ECHO, tls: TLS, handshakeTimeout: 300 });
  const garbage = new Client(net.connect(served.port, '127.0.0.1'));
  garbage.write('GET / HTTP/1.1\r\n\r\n');
  const silent = new Client(net.connect(served.port, '127.0.0.1'));
  const leaves = new Client(net.connect(served.port, '127.0.0.1'));
  leaves.socket.end();
  const distrusts = tls.connect({ port: served.port, host: '127.0.0.1', servername: 'localhost' });
  const [refusal] = await within(once(distrusts, 'error'));
  expect(refusal.code).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
  await Promise.all([garbage.all(), silent.all(), leaves.all()]);
  await until(
    () => served.server.stats().closed.handshake + served.server.stats().closed.reset >= 3,
    'failed handshakes',
  );
  expect(served.server.stats().closed.handshake).toBeGreaterThanOrEqual(3);
  const peer = await client(served);
  peer.write('x\n');
  await peer.has('x;');
  await quiet();
  const { accepted, connections } = served.server.stats();
  expect({ accepted, connections }).toEqual({ accepted: 5, connections: 1 });
  expect(served.connections.length - served.closes.length).toBe(1);
  expect(served.errors).toEqual([]);
});

test.each(['end', 'throw', 'reset', 'close'])('%s', async how => {
  const served = await serve({ handler: ECHO, tls: TLS });
  const peer = await client(served);
  peer.write('before\n');
  await peer.has('before;');
  if (how === 'end' || how === 'throw') peer.write(`${how}\nnever\n`);
  else if (how === 'reset') {
    peer.socket.destroy();
  } else void served.server.close();
  const text = await peer.all();
  if (how !== 'reset') {
    expect(text).toBe(how === 'end' ? 'before;last' : 'before;');
    expect(peer.ended).toBe(true);
    expect(peer.error).toBe(undefined);
  }
  await settled(served, 1);
  const reason = { end: 'end', throw: 'handler', reset: expect.stringMatching(/^(end|reset)$/), close: 'server' }[how];
  expect(served.closes).toEqual([{ id: served.connections[0], reason }]);
});

test('setSecureContext(): new connections have it, the others go on', async () => {
  const served = await serve({ handler: ECHO, tls: TLS });
  const before = await client(served);
  const next = certificate({ name: 'next' });
  expect(() => served.server.setSecureContext({ key: 'x', cert: 'y' })).toThrow();
  served.server.setSecureContext({ key: next.key, cert: next.cert });
  const after = await client(served, { ca: next.cert });
  expect(after.socket.getPeerCertificate().subject.CN).toBe('next');
  for (const peer of [before, after]) peer.write('x\n');
  await Promise.all([before.has('x;'), after.has('x;')]);
  const plain = await serve({ handler: ECHO });
  expect(() => plain.server.setSecureContext(TLS)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }));
});

test("wrong options: node:tls's own error", async () => {
  const ours = await rejection(Server.listen({ handler: ECHO, port: 0, tls: { key: 'x', cert: 'y' } }));
  let theirs: unknown;
  try {
    tls.createSecureContext({ key: 'x', cert: 'y' });
  } catch (error) {
    theirs = error;
  }
  expect(ours).toMatchObject({ code: Reflect.get(Object(theirs), 'code') });
});

test('a thread that dies', async () => {
  const source = `${LINES} export default (line, connection) => { if (line === 'exit') process.exit(1); connection.send(line + ';'); };`;
  const served = await serve({ handler: module(source), tls: TLS });
  const peers = await Promise.all(Array.from({ length: 6 }, () => client(served)));
  const [victim, ...others] = peers;
  victim?.write('exit\n');
  await until(() => served.closes.length === 1, 'its end');
  expect(served.closes[0]?.reason).toBe('thread');
  for (const peer of others) peer.write('alive\n');
  for (const peer of others) await peer.has('alive;');
  await victim?.closed;
});

test('300 connections that break off anywhere', { tags: ['slow'], timeout: 60_000 }, async () => {
  const served = await serve({ handler: ECHO, tls: TLS, handshakeTimeout: 2000 });
  let broken = 0;
  for (let round = 0; round < 15; round++) {
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const socket = net.connect(served.port, '127.0.0.1');
        socket.on('error', () => {});
        const secure = tls.connect({ socket, ca: cert, servername: 'localhost' });
        secure.on('error', () => {});
        secure.write('one\nlater\nbig\n');
        const bytes = (round * 20 + i) * 7;
        await within(
          new Promise<void>(resolve => {
            const timer = setInterval(() => {
              if (socket.bytesWritten + socket.bytesRead < bytes && socket.bytesRead < 100_000 && !socket.destroyed)
                return;
              clearInterval(timer);
              socket.resetAndDestroy();
              resolve();
            }, 1);
          }),
        );
        broken++;
      }),
    );
  }
  expect(broken).toBe(300);
  await until(() => served.server.connections === 0, 'all ends');
  await until(() => served.server.stats().bytesKept === 0, 'nothing kept');
  const { accepted, closed } = served.server.stats();
  expect(Object.values(closed).reduce((sum, count) => sum + count)).toBe(accepted);
  expect(served.closes).toHaveLength(served.connections.length);
  expect(served.errors).toEqual([]);
});

test("'connection' comes before all that is told of it: what open() has posted, and what it has thrown", async () => {
  const opened = new Int32Array(new SharedArrayBuffer(4));
  const source = `
    let opened;
    export function setup(shared) { opened = shared; }
    export function open(connection) {
      if (connection.tls.servername === 'localhost') return;
      connection.post('open');
      setTimeout(() => { Atomics.store(opened, 0, 1); Atomics.notify(opened, 0); }, 20);
      throw new Error('open');
    }
    export default (bytes, connection) => {
      connection.post('other');
      connection.send('posted');
    };`;
  const served = await serve({ handler: module(source), handlerData: opened, tls: TLS });
  const told: Array<readonly [string, number | undefined]> = [];
  served.server.on('connection', ({ id }) => told.push(['connection', id]));
  served.server.on('message', (_, { id }) => told.push(['message', id]));
  served.server.on('error', (_, peer) => told.push(['error', peer?.id]));
  served.server.on('close', ({ id }) => told.push(['close', id]));
  // Two clients: the other one has something posted, and only then this one shakes hands.
  const { message, worker } = thread(
    `
    const net = await import('node:net');
    const tls = await import('node:tls');
    const { once } = await import('node:events');
    const options = { port: workerData, host: '127.0.0.1', rejectUnauthorized: false };
    const other = tls.connect({ ...options, servername: 'localhost' });
    await once(other, 'secureConnect');
    const plain = net.connect(options);
    await once(plain, 'connect');
    parentPort.once('message', async () => {
      other.write('x');
      await once(other, 'data');
      const socket = tls.connect({ ...options, socket: plain });
      socket.on('error', () => {});
      socket.resume();
    });
    post('connected');`,
    served.port,
  );
  await message();
  await until(() => served.server.stats().accepted === 2, 'two connections');
  await until(() => told.length === 1, 'the other connection');
  const [[, other] = []] = told;
  worker.postMessage('go');
  // All that its thread has to tell is there when this thread goes on.
  expect(Atomics.wait(opened, 0, 0, 10_000)).not.toBe('timed-out');
  await until(() => served.closes.length === 1, 'an end');
  const events = (isOther: boolean) => told.filter(([, id]) => (id === other) === isOther).map(([what]) => what);
  expect(events(true)).toEqual(['connection', 'message']);
  expect(events(false)).toEqual(['connection', 'message', 'error', 'close']);
});

test('setSecureContext() after close(): there is no context to take the tickets of', async () => {
  const { server } = await serve({ handler: ECHO, tls: TLS });
  const closing = server.close();
  expect(() => server.setSecureContext(TLS)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }));
  await closing;
  expect(() => server.setSecureContext(TLS)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }));
});

test('a socket that is adopted, of which nothing was read: `unread` may be empty', async () => {
  const served = await serve({ handler: ECHO, tls: TLS, port: undefined, host: undefined });
  const listener = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const arrived = once(listener, 'connection');
  const address = listener.address();
  const peer = await Promise.all([
    client({ ...served, port: typeof address === 'object' && address !== null ? address.port : 0 }),
    within(arrived).then(([socket]) => served.server.adopt(socket, { unread: Buffer.alloc(0) })),
  ]).then(([secure]) => secure);
  listener.close();
  peer.write('line\n');
  await peer.has('line;');
});
