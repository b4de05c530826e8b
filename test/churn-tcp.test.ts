/**
 * TCP connections that handlers accept, register, answer and close: many short ones, and many at once. All counted.
 *
 * @module-tag slow
 */
import { expect, test } from 'vitest';
import { runLimited } from './support/limited.ts';

/** A service that listens at `port`; `connect` has a connection answered `pings` times, and ends it. */
const SERVER = `
import net from 'node:net';
import { once } from 'node:events';
const counts = new Int32Array(new SharedArrayBuffer(16));
const handler = new URL('./test/fixtures/acceptor.mjs', root);
const errors = [];
await (await WaitService.start({ threads: 1 })).close(); // what is opened once, is open
async function open(threads) {
  const service = await WaitService.start({ threads, handler, handlerData: counts });
  service.on('error', error => errors.push(error.message));
  const listener = net.createServer().listen(0, '127.0.0.1', 4096);
  await once(listener, 'listening');
  const { port } = listener.address();
  const fd = sys.dup(listener._handle.fd);
  listener.close();
  await service.register(fd, { events: EPOLLIN, data: 0 });
  const stop = async () => { await service.unregister(fd); sys.close(fd); await service.close(); };
  return { service, port, stop };
}
const connect = port => new Promise((resolve, reject) => {
  const socket = net.connect(port, '127.0.0.1', () => resolve(socket));
  socket.setNoDelay().on('error', reject);
});
let answers = 0;
const ask = socket => new Promise((resolve, reject) => {
  socket.once('data', data => { if (String(data) === 'ping') answers++; resolve(); }).once('error', reject).once('close', () => reject(new Error('closed')));
  socket.write('ping');
});
const end = socket => new Promise(resolve => { socket.removeAllListeners('close').once('close', resolve).destroy(); });
`;

test('20,000 short connections', { timeout: 60_000 }, async () => {
  const result = await runLimited(
    {},
    `${SERVER}
    const COUNT = 20_000;
    const round = async count => {
      const before = { fds: countFds(), threads: countThreads() };
      const { service, port, stop } = await open(4);
      let left = count;
      const clients = Array.from({ length: 64 }, async () => {
        while (left-- > 0) {
          const socket = await connect(port);
          await ask(socket);
          await end(socket);
        }
      });
      await Promise.all(clients);
      await until(() => service.stats().registrations === 1);
      await stop();
      await until(() => countFds() <= before.fds && countThreads() <= before.threads);
    };
    await round(1000);
    globalThis.gc();
    const rss = process.memoryUsage().rss;
    await round(COUNT - 1000);
    globalThis.gc();
    print('accepted', counts[0], 'answered', counts[1], answers, 'closed', counts[2], 'errors', errors.length, errors[0] ?? '');
    const grown = (process.memoryUsage().rss - rss) / 2 ** 20;
    print('memory', grown < 100 ? 'stays' : 'grew by ' + grown + ' MiB');
  `,
    55_000,
  );
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).toBe('accepted 20000 answered 20000 20000 closed 20000 errors 0 \nmemory stays\n');
});

test('4,000 connections held open, with traffic', { timeout: 60_000 }, async () => {
  const result = await runLimited(
    { fds: 'most' },
    `${SERVER}
    const COUNT = 4000;
    const ROUNDS = 5;
    const before = { fds: countFds(), threads: countThreads() };
    const { service, port, stop } = await open(4);
    const sockets = [];
    while (sockets.length < COUNT) sockets.push(...await Promise.all(Array.from({ length: 500 }, () => connect(port))));
    await until(() => service.stats().registrations === COUNT + 1);
    for (let i = 0; i < ROUNDS; i++) await Promise.all(sockets.map(ask));
    print('answered', counts[1], answers, 'registrations', service.stats().registrations);
    await Promise.all(sockets.map(end));
    await until(() => service.stats().registrations === 1);
    await stop();
    await until(() => countFds() <= before.fds && countThreads() <= before.threads);
    print('accepted', counts[0], 'closed', counts[2], 'errors', errors.length, errors[0] ?? '');
  `,
    55_000,
  );
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).toBe('answered 20000 20000 registrations 4001\naccepted 4000 closed 4000 errors 0 \n');
});
