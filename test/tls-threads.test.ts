/** TLS sessions and several threads: one session that goes from thread to thread, one context for all of them. */
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { acceptSession, freeSession, handshake, lastFailure } from '../dist/shared/tls/session.js';
import { certificate } from './support/certificates.ts';
import { run } from './support/run.ts';
import { thread } from './support/thread.ts';
import { clientContext, nodeClient, serverContext, socketAndFd } from './support/tls.ts';
import { within } from './support/within.ts';

const ca = certificate({ ca: true, name: 'test authority' });
const ec = certificate({ issuer: ca });
const options = { ...ec, ca: ca.cert, requestCert: true, rejectUnauthorized: false, ALPNProtocols: ['one', 'two'] };
const modules = `
  const tls = await import(${JSON.stringify(new URL('../dist/shared/tls/session.js', import.meta.url).href)});
  const agreed = await import(${JSON.stringify(new URL('../dist/shared/tls/agreed.js', import.meta.url).href)});
`;

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a session goes from thread to thread with each call: %s',
  async maxVersion => {
    const { client, fd } = nodeClient({ ...certificate(), maxVersion, ALPNProtocols: ['two'] });
    const ssl = acceptSession(serverContext(options).pointer, fd);
    const turn = new Int32Array(new SharedArrayBuffer(8));
    const source = `${modules}
    const { ssl, turn, me } = workerData;
    const buffer = Buffer.alloc(1000);
    const AGREED = 1;
    let calls = 0;
    for (;;) {
      while (Atomics.load(turn, 0) === 1 - me) Atomics.wait(turn, 0, 1 - me, 1000);
      if (Atomics.load(turn, 0) === 2) break;
      calls++;
      let result;
      if (Atomics.load(turn, AGREED) === 0) {
        result = tls.handshake(ssl);
        if (result === tls.DONE) Atomics.store(turn, AGREED, 1);
      } else {
        result = tls.read(ssl, buffer, 0, buffer.length);
        while (result > 0 && tls.write(ssl, buffer, 0, result) === tls.WANT_WRITE);
      }
      if (result === tls.WANT_READ) Atomics.wait(turn, 0, me, 1); // let the peer have the core
      const over = result === tls.END || result === tls.FAILED;
      if (over) post(result === tls.END ? 'end' : tls.lastFailure().reason);
      Atomics.store(turn, 0, over ? 2 : 1 - me);
      Atomics.notify(turn, 0);
      if (over) break;
    }
    post(calls);
  `;
    const threads = [0, 1].map(me => thread(source, { ssl, turn, me }));
    await within(once(client, 'secureConnect'));
    const text = 'what goes around comes around. '.repeat(10_000);
    let back = '';
    client.setEncoding('utf8').on('data', chunk => {
      back += chunk;
      if (back.length >= text.length) client.end();
    });
    client.write(text);
    const said = await Promise.all(threads.map(t => t.message()));
    expect(said.filter(word => typeof word === 'string')).toEqual(['end']);
    expect(back).toBe(text);
    const calls = await Promise.all(threads.map((t, i) => (typeof said[i] === 'string' ? t.message() : said[i])));
    expect(calls.map(count => Number(count) > 10)).toEqual([true, true]);
    freeSession(ssl);
  },
);

test('one context for all threads at once: handshakes, ALPN, certificates, tickets of each other', async () => {
  const server = serverContext(options);
  const client = clientContext({ ca: ca.cert, ...certificate({ issuer: ca }), ALPNProtocols: ['two'] });
  const shared = new Float64Array(new SharedArrayBuffer(8));
  const source = `${modules}
    const { server, client, servername, shared, rounds } = workerData;
    const buffer = Buffer.alloc(100);
    const counts = { resumed: 0, wrong: [] };
    for (let i = 0; i < rounds; i++) {
      const [a, b] = sys.socketpair();
      const ours = tls.acceptSession(server, a);
      const theirs = tls.connectSession(client, b, servername, shared[0]);
      let [x, y] = [0, 0];
      while (x !== tls.DONE || y !== tls.DONE) {
        if (y !== tls.DONE) y = tls.handshake(theirs);
        if (x !== tls.DONE) x = tls.handshake(ours);
        if (x === tls.FAILED || y === tls.FAILED) throw new Error(tls.lastFailure().reason);
      }
      tls.write(ours, Buffer.from('answer'), 0, 6);
      const n = tls.read(theirs, buffer, 0, 100);
      const seen = [n, agreed.alpnOf(ours), agreed.alpnOf(theirs), agreed.servernameOf(ours), agreed.verifyErrorOf(ours), typeof agreed.peerCertificateOf(ours)].join();
      if (seen !== '6,two,two,localhost,,object') counts.wrong.push(seen);
      if (tls.wasResumed(ours)) counts.resumed++;
      if (shared[0] === 0) shared[0] = tls.takeResumption(theirs);
      tls.freeSession(ours);
      tls.freeSession(theirs);
      sys.close(a);
      sys.close(b);
    }
    post(counts);
  `;
  const rounds = 100;
  const data = { server: server.pointer, client: client.pointer, servername: client.servername, shared, rounds };
  const counts = await Promise.all(Array.from({ length: 4 }, () => thread(source, data).message(20_000)));
  for (const count of counts) {
    expect(count).toMatchObject({ wrong: [] });
    expect(Object(count).resumed).toBeGreaterThan(rounds / 2);
  }
});

test('a thread that is ended leaves its session to be freed by another', { tags: ['slow'] }, async () => {
  const source = `
    const { TlsContext } = await import('./dist/shared/tls/context.js');
    const { acceptSession, freeSession } = await import('./dist/shared/tls/session.js');
    const context = TlsContext.forServer(${JSON.stringify(options)});
    for (let i = 0; i < 20; i++) {
      const [a, b] = sys.socketpair();
      const ssl = acceptSession(context.pointer, a);
      const busy = new Worker(\`
        import('./dist/shared/tls/session.js').then(({ requireTls, handshake }) => {
          requireTls();
          process.getBuiltinModule('worker_threads').parentPort.postMessage(0);
          for (;;) handshake(\${ssl});
        });
      \`, { eval: true });
      await new Promise(resolve => busy.once('message', resolve));
      await busy.terminate();
      freeSession(ssl);
      sys.close(a);
      sys.close(b);
    }
    context.close();
    console.log('all of them');
  `;
  expect(await run(source)).toMatchObject({ code: 0, stdout: 'all of them\n', stderr: '' });
});

test('the failure that is told is that of this thread', async () => {
  const { socket, fd } = socketAndFd();
  const ssl = acceptSession(serverContext(ec).pointer, fd);
  onTestFinished(() => freeSession(ssl));
  socket.write('GET / HTTP/1.1\r\n\r\n');
  await within(new Promise(resolve => socket.write('', resolve)));
  expect([handshake(ssl), lastFailure().reason]).toEqual([-3, 'http request']);
  const other = thread(`${modules} post(tls.lastFailure().reason);`);
  expect(await other.message()).toBe('unknown error');
});
