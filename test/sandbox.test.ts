/** In sandboxes that refuse system calls: primitive and service work without epoll_pwait2 and kcmp, whatever the errno. */
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
        export default ready => { if (ready.read(buffer) > 0) ready.post(Number(ready.data)); ready.data >= 100n && ready.modify({ events: ${1 + 2 ** 30}, data: ready.data }); };
      \`);
      const service = await WaitService.start({ threads: 2, handler });
      const errors = [];
      const runs = new Map();
      service.on('error', error => errors.push(error.message));
      service.on('message', data => runs.set(data, (runs.get(data) ?? 0) + 1));
      const modes = [[1, EPOLLIN], [2, EPOLLIN | EPOLLET], [100, EPOLLIN | EPOLLONESHOT]];
      for (const [data, events] of modes) {
        const fd = sys.eventfd(0);
        await service.register(fd, { events, data });
        // A second register() is the kernel's EEXIST, and the first goes on.
        await assert.rejects(service.register(fd, { events, data: 50 }), { code: 'EEXIST', fd });
        for (let i = 1; i <= 5; i++) {
          sys.write(fd, new BigUint64Array([1n]));
          await until(() => runs.get(data) === i);
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
});
