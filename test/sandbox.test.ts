/**
 * In sandboxes that refuse system calls: primitive, service and server work without epoll_pwait2 and kcmp, whatever the errno.
 *
 * @module-tag slow
 */
import { describe, expect, test } from 'vitest';
import { runLimited } from './support/limited.ts';
import { CONTAINER_DEFAULTS, type Errno, noSeccomp, type Refusal, refusal } from './support/seccomp.ts';

const ERRNOS: readonly Errno[] = ['EPERM', 'ENOSYS', 'EACCES', 'EINVAL'];

const SANDBOXES: ReadonlyArray<[name: string, refuse: readonly Refusal[]]> = [
  ...['epoll_pwait2', 'kcmp'].flatMap(call =>
    ERRNOS.map((errno): [string, Refusal[]] => [`${call}: ${errno}`, [refusal(call, errno)]]),
  ),
  ['what container engines refuse', CONTAINER_DEFAULTS],
];

/** What a child prints after all went as expected. */
const DONE = { code: 0, signal: null, stdout: 'done\n', stderr: '' };

describe.skipIf(noSeccomp).each(SANDBOXES)(`%s${noSeccomp}`, (_, refuse) => {
  test('the primitive: waits with fractions, in a Worker too', async () => {
    const source = `
      import { Worker } from 'node:worker_threads';
      import assert from 'node:assert/strict';
      const worker = new Worker(\`
        import('epoll-pool').then(({ Epoll, Events }) => {
          const epoll = new Epoll();
          const from = performance.now();
          const n = epoll.wait(new Events(1), 45.5);
          require('node:worker_threads').parentPort.postMessage([n, performance.now() - from]);
          epoll.close();
        });
      \`, { eval: true, execArgv: [] });
      const [n, ms] = await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject); });
      assert.equal(n, 0);
      assert.ok(ms >= 45, 'waited ' + ms);
      const epoll = new Epoll();
      const events = new lib.Events(4);
      for (const timeout of [0, 0.25, 1.5, 1]) assert.equal(epoll.wait(events, timeout), 0);
      const from = performance.now();
      assert.equal(epoll.wait(events, 20.5), 0);
      assert.ok(performance.now() - from >= 20);
      assert.equal(await epoll.waitAsync(events, 1.5), 0);
      const fd = sys.eventfd(1);
      epoll.register(fd, { events: EPOLLIN, data: 7n });
      assert.equal(epoll.wait(events, 0.5), 1);
      assert.equal(events.dataAt(0), 7n);
      assert.equal(epoll.wait(events, 100.5), 1);
      // What is wrong with the call itself is still said.
      for (const [wrong, code] of [[fd, 'EINVAL'], [1_000_000, 'EBADF']]) {
        assert.throws(() => Epoll.borrow(wrong).wait(events, 0.5), { code });
      }
      assert.equal(epoll.wait(events, 0.5), 1);
      print('done');
    `;
    expect(await runLimited({ refuse }, source)).toEqual(DONE);
  });

  test('the service: every mode, and fds that were closed behind its back', async () => {
    const source = `
      import assert from 'node:assert/strict';
      const handler = 'data:text/javascript,' + encodeURIComponent(\`
        const buffer = new BigUint64Array(1);
        export default ready => { if (ready.read(buffer) > 0) ready.post(Number(ready.data)); };
      \`);
      const service = await WaitService.start({ threads: 2, handler });
      const errors = [];
      const runs = new Map();
      service.on('error', error => errors.push(error.message));
      service.on('message', data => runs.set(data, (runs.get(data) ?? 0) + 1));
      const modes = [[1, EPOLLIN], [2, EPOLLIN | EPOLLET], [3, EPOLLIN | EPOLLONESHOT]];
      for (const [data, events] of modes) {
        const fd = sys.eventfd(0);
        await service.register(fd, { events, data });
        // A second register() is the kernel's EEXIST, and the first goes on.
        await assert.rejects(service.register(fd, { events, data: 50 }), { code: 'EEXIST', fd });
        for (let i = 1; i <= 5; i++) {
          sys.write(fd, new BigUint64Array([1n]));
          await until(() => runs.get(data) === i);
          if (events & EPOLLONESHOT) await service.modify(fd, { events, data });
        }
        // Closed, and the number used again: the new file's registration runs, the old one does not.
        sys.close(fd);
        assert.equal(sys.eventfd(0), fd);
        await service.register(fd, { events, data: data + 10 });
        sys.write(fd, new BigUint64Array([1n]));
        await until(() => runs.get(data + 10) === 1);
        assert.equal(runs.get(data), 5);
        await service.unregister(fd);
        await assert.rejects(service.unregister(fd), { code: 'ENOENT' });
      }
      assert.deepEqual(errors, []);
      assert.equal(service.stats().registrations, 0);
      await service.close();
      // Without a handler.
      const plain = await WaitService.start({ threads: 1 });
      const fd = sys.eventfd(1);
      await plain.register(fd, { events: EPOLLIN });
      let seen = 0;
      for await (const event of plain) {
        assert.equal(event.fd, fd);
        if (++seen === 5) break;
      }
      await plain.close();
      print('done');
    `;
    expect(await runLimited({ refuse }, source)).toEqual(DONE);
  });

  test('the service: what is due when its fd becomes a stranger is not run', async () => {
    const source = `
      import assert from 'node:assert/strict';
      const handler = 'data:text/javascript,' + encodeURIComponent(\`
        let words;
        const byte = Buffer.alloc(1);
        export function setup(shared) { words = shared; }
        export default ready => {
          if (ready.data === 1n) {
            if (ready.read(byte) === 1) Atomics.add(words, byte[0] === 83 ? 1 : 0, 1);
            return;
          }
          ready.read(new BigUint64Array(1));
          Atomics.store(words, 2, 1);
          Atomics.wait(words, 3, 0, 5000);
        };
      \`);
      const words = new Int32Array(new SharedArrayBuffer(16));
      const service = await WaitService.start({ threads: 1, handler, handlerData: words });
      const gate = sys.eventfd(0);
      await service.register(gate, { events: EPOLLIN, data: 2 });
      for (const [mode, kind] of [[0, 'pipe'], [0, 'socket'], [EPOLLET, 'pipe']]) {
        words.fill(0);
        const open = () => kind === 'pipe' ? sys.pipe() : (([readable, writable]) => ({ readable, writable }))(sys.socketpair());
        const own = open();
        await service.register(own.readable, { events: EPOLLIN | mode, data: 1 });
        sys.write(own.writable, Buffer.alloc(60_000, 'o'));
        sys.write(gate, new BigUint64Array([1n]));
        await until(() => Atomics.load(words, 2) === 1);
        // The thread is in the gate's run, and the other registration is due, or was run.
        sys.write(own.writable, Buffer.from('o'));
        sys.close(own.readable);
        const stranger = open();
        assert.equal(stranger.readable, own.readable);
        sys.write(stranger.writable, Buffer.alloc(100, 'S'));
        Atomics.store(words, 3, 1);
        Atomics.notify(words, 3);
        // It has had its turn once the gate has run again.
        Atomics.store(words, 2, 0);
        sys.write(gate, new BigUint64Array([1n]));
        await until(() => Atomics.load(words, 2) === 1);
        assert.equal(Atomics.load(words, 1), 0, kind + ' ' + mode + ': a stranger was read');
        await service.register(stranger.readable, { events: EPOLLIN, data: 1 });
        await until(() => Atomics.load(words, 1) === 100);
        await service.unregister(stranger.readable);
        for (const fd of [own.writable, stranger.readable, stranger.writable]) sys.close(fd);
      }
      await service.close();
      print('done');
    `;
    expect(await runLimited({ refuse }, source)).toEqual(DONE);
  });

  test('the server: answers, and counts its ends', async () => {
    const source = `
      import assert from 'node:assert/strict';
      import { connect } from 'node:net';
      import { text } from 'node:stream/consumers';
      import { Server } from 'epoll-pool/server';
      const handler = 'data:text/javascript,' + encodeURIComponent(\`
        export { protocol };
        const protocol = {
          frame: input => input.indexOf(10) + 1,
          decode: bytes => bytes.toString(),
        };
        export default async (line, connection) => {
          if (line.startsWith('later')) await new Promise(resolve => setTimeout(resolve, 5));
          connection.send(line.toUpperCase());
        };
      \`);
      const server = await Server.listen({ host: '127.0.0.1', port: 0, handler, threads: 2 });
      const errors = [];
      server.on('error', error => errors.push(error.message));
      const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => {
        const socket = connect(server.address().port, '127.0.0.1');
        socket.end('one ' + i + '\\nlater ' + i + '\\nthree\\n');
        return text(socket);
      }));
      answers.forEach((answer, i) => assert.equal(answer, 'ONE ' + i + '\\nLATER ' + i + '\\nTHREE\\n'));
      await until(() => server.stats().closed.end === 20);
      assert.deepEqual(errors, []);
      await server.close();
      print('done');
    `;
    expect(await runLimited({ refuse }, source)).toEqual(DONE);
  });
});
