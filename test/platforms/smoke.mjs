// A minute at most of everything, on whatever runs it: `node smoke.mjs [PART ...]`. It needs nothing but the package.
import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { Worker } from 'node:worker_threads';
import { detach, EPOLLET, EPOLLIN, EPOLLONESHOT, Epoll, EpollError, Events, WaitService, Waker } from 'epoll-pool';
import { load } from 'epoll-pool/load';
import * as sys from 'epoll-pool/sys';

const ONE = new BigUint64Array([1n]);

/** The promise's value, or an error after ten seconds. */
function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after 10 s`)), 10_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const PARTS = {
  primitive() {
    const epoll = new Epoll();
    const events = new Events(8);
    const fd = sys.eventfd(1);
    epoll.register(fd, { events: EPOLLIN, data: 2n ** 64n - 1n });
    assert.equal(epoll.wait(events, 1000.5), 1);
    assert.deepEqual([...events], [{ events: EPOLLIN, data: 2n ** 64n - 1n }]);
    assert.deepEqual(
      epoll.registered().map(({ fd, data }) => [fd, data]),
      [[fd, 2n ** 64n - 1n]],
    );
    assert.throws(
      () => epoll.register(fd, { events: EPOLLIN }),
      error => error instanceof EpollError && error.code === 'EEXIST',
    );
    epoll.modify(fd, { events: EPOLLIN | EPOLLET | EPOLLONESHOT, data: 5 });
    assert.equal(epoll.wait(events, 1000), 1);
    assert.equal(events.dataAt(0), 5n);
    const from = performance.now();
    assert.equal(epoll.wait(events, 20.5), 0);
    assert.ok(performance.now() - from >= 20);
    epoll.unregister(fd);
    const waker = new Waker(epoll, 9n);
    waker.wake();
    assert.equal(epoll.wait(events, 1000), 1);
    assert.equal(events.dataAt(0), 9n);
    waker.close();
    epoll.close();
    sys.close(fd);
  },

  sys() {
    const listener = sys.listen({});
    const { port } = sys.localAddress(listener);
    const client = sys.connect({ port });
    const epoll = new Epoll();
    epoll.register(listener, { events: EPOLLIN });
    assert.equal(epoll.wait(new Events(1), 5000), 1);
    const server = sys.accept(listener);
    assert.equal(sys.remoteAddress(server).port, sys.localAddress(client).port);
    sys.socketError(client);
    sys.shutdown(server, 'write');
    epoll.register(client, { events: EPOLLIN });
    assert.equal(epoll.wait(new Events(1), 5000), 1);
    assert.equal(sys.read(client, new Uint8Array(1)), 0);
    const timer = sys.timerfd(60_000);
    sys.setTimer(timer, 0.5);
    epoll.register(timer, { events: EPOLLIN, data: 3 });
    epoll.unregister(client);
    assert.equal(epoll.wait(new Events(1), 5000), 1);
    epoll.close();
    for (const fd of [listener, client, server, timer]) sys.close(fd);
  },

  async loop() {
    const epoll = new Epoll();
    const events = new Events(4);
    const timer = sys.timerfd(5, 5);
    const expirations = new BigUint64Array(1);
    epoll.register(timer, { events: EPOLLIN, data: 1 });
    for (let i = 0; i < 5; i++) {
      assert.equal(await within(epoll.waitAsync(events, 5000), 'waitAsync'), 1);
      assert.equal(sys.read(timer, expirations), 8);
    }
    let seen = 0;
    const iterate = async () => {
      for await (const { data } of epoll) {
        assert.equal(data, 1n);
        sys.read(timer, expirations);
        if (++seen === 5) break;
      }
    };
    await within(iterate(), 'for await');
    sys.setTimer(timer, -1);
    assert.equal(await within(epoll.waitAsync(events, 20), 'a time-out'), 0);
    const signal = AbortSignal.timeout(10);
    await assert.rejects(within(epoll.waitAsync(events, -1, { signal }), 'an abort'), { name: 'AbortError' });
    epoll.close();
    sys.close(timer);
  },

  async worker() {
    const worker = new Worker(new URL('smoke-worker.mjs', import.meta.url));
    const answer = new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    assert.deepEqual(await within(answer, 'the Worker'), [1, 1]);
    await worker.terminate();
  },

  async service() {
    const service = await WaitService.start({ threads: 2, handler: new URL('smoke-handler.mjs', import.meta.url) });
    const errors = [];
    service.on('error', error => errors.push(error));
    for (const [data, mode] of [0, EPOLLET, EPOLLONESHOT].entries()) {
      const fd = sys.eventfd(0);
      await service.register(fd, { events: (EPOLLIN | mode) >>> 0, data });
      for (let i = 0; i < 10; i++) {
        const message = new Promise(resolve => service.once('message', resolve));
        sys.write(fd, ONE);
        assert.deepEqual(await within(message, 'a handler'), { data: BigInt(data), count: 1n, same: true });
        await service.modify(fd, { events: (EPOLLIN | mode) >>> 0, data });
      }
      await service.unregister(fd);
      sys.close(fd);
    }
    assert.deepEqual(errors, []);
    await within(service.close(), 'close()');

    const plain = await WaitService.start({ threads: 1 });
    const fd = sys.eventfd(1);
    await plain.register(fd, { events: EPOLLIN });
    let seen = 0;
    const iterate = async () => {
      for await (const event of plain) {
        assert.equal(event.fd, fd);
        if (++seen === 3) break;
      }
    };
    await within(iterate(), 'for await over a service');
    await within(plain.close(), 'close()');
    sys.close(fd);
  },

  async detach() {
    const server = createServer({ pauseOnConnect: true });
    await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
    const client = sys.connect({ port: server.address().port });
    sys.write(client, new Uint8Array([1, 2, 3]));
    const socket = await within(new Promise(resolve => server.once('connection', resolve)), 'a connection');
    const fd = detach(socket);
    const epoll = new Epoll();
    epoll.register(fd, { events: EPOLLIN });
    assert.equal(epoll.wait(new Events(1), 5000), 1);
    assert.equal(sys.read(fd, new Uint8Array(8)), 3);
    epoll.close();
    sys.close(fd);
    sys.close(client);
    await new Promise(resolve => server.close(resolve));
  },

  async load() {
    let requests = 0;
    const server = createHttpServer((_request, response) => {
      requests++;
      response.end('hello');
    });
    await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${server.address().port}/`;
    const { responses, errorCount } = await within(load({ url, requests: 200, connections: 8, threads: 2 }), 'load()');
    assert.deepEqual({ responses, errorCount, requests }, { responses: 200, errorCount: 0, requests: 200 });
    server.close();
  },
};

const { bun, deno, node } = process.versions;
console.log(bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node ${node}`, process.arch);
const wanted = process.argv.slice(2);
for (const name of wanted.length > 0 ? wanted : Object.keys(PARTS)) {
  await PARTS[name]();
  console.log(`${name}: ok`);
}
console.log('smoke: all is well');
