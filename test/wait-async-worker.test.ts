/**
 * waitAsync in Workers, however they end: the process lives on, and keeps none of the fds that the package opened.
 *
 * @module-tag slow
 */
import { expect, test } from 'vitest';
import { ended, run } from './support/run.ts';

/** Rounds of a Worker that runs `source`, then `end` on this side; prints how many fds the process has more at the end. */
function rounds(n: number, source: string, end: string): string {
  return `
    import { readdirSync } from 'node:fs';
    const source = \`
      import { parentPort, workerData } from 'node:worker_threads';
      import { Epoll, Events, EPOLLIN } from 'epoll-pool';
      const epoll = Epoll.borrow(workerData);
      await epoll.waitAsync(new Events(1), 1);
      ${source}
    \`;
    const quiet = new Epoll(), busy = new Epoll();
    quiet.register(sys.eventfd(), { events: EPOLLIN });
    busy.register(sys.timerfd(0, 0.05), { events: EPOLLIN | EPOLLET }); // ready again and again, by way of the loop
    async function round(workerData, i) {
      const worker = new Worker(source, { eval: true, workerData });
      worker.on('error', error => console.log(error));
      const exit = new Promise(resolve => worker.once('exit', resolve));
      await new Promise(resolve => worker.once('message', resolve));
      ${end}
      await exit;
    }
    let before;
    for (let i = 0; i < ${n}; i++) {
      await round(quiet.fd, i);
      await round(busy.fd, i);
      before ??= readdirSync('/proc/self/fd').length;
    }
    console.log(readdirSync('/proc/self/fd').length - before);
  `;
}

const PAUSE = 'await new Promise(resolve => setTimeout(resolve, i % 5));';

test.each([
  [
    'terminated while it waits',
    rounds(
      10,
      `parentPort.postMessage(1); for (;;) await epoll.waitAsync(new Events(1));`,
      `${PAUSE} worker.terminate();`,
    ),
  ],
  [
    'terminated while it iterates',
    rounds(10, `parentPort.postMessage(1); for await (const event of epoll);`, `${PAUSE} worker.terminate();`),
  ],
  [
    'terminated with many waits in the queue and code that does not return',
    rounds(
      10,
      `for (let i = 0; i < 40; i++) epoll.waitAsync(new Events(1));
       setTimeout(() => { parentPort.postMessage(1); for (;;); }, 1);`,
      `${PAUSE} worker.terminate();`,
    ),
  ],
  [
    'that ends by process.exit()',
    rounds(10, `epoll.waitAsync(new Events(1)); parentPort.postMessage(1); setTimeout(() => process.exit(3), 2);`, ''),
  ],
  ['that ends by itself', rounds(10, `await epoll.waitAsync(new Events(1), 5); parentPort.postMessage(1);`, '')],
])(
  'a Worker %s',
  async (_, source) => {
    const result = await run(source, 60_000);
    expect(result).toMatchObject({ code: 0, signal: null, stdout: '0\n', stderr: '' });
  },
  70_000,
);

test('a Worker terminated in any moment after its first call', async () => {
  const result = await run(
    `
    const source = \`
      import { workerData } from 'node:worker_threads';
      import { Epoll, Events } from 'epoll-pool';
      const { epfd, called } = workerData;
      Epoll.borrow(epfd).wait(new Events(1), 0);
      Atomics.store(called, 0, 1);
      Atomics.notify(called, 0);
      for (;;) new Epoll().close();
    \`;
    const { fd: epfd } = new Epoll();
    for (let i = 0; i < 60; i++) {
      const called = new Int32Array(new SharedArrayBuffer(4));
      const worker = new Worker(source, { eval: true, workerData: { epfd, called } });
      Atomics.wait(called, 0, 0); // at once, and without a processor's time that the Worker needs
      const until = performance.now() + i * 0.01;
      while (performance.now() < until);
      await worker.terminate();
    }
  `,
    60_000,
  );
  expect(result).toEqual(ended(''));
}, 70_000);

test('the process exits while Workers iterate', async () => {
  const result = await run(`
    const source = \`
      import { parentPort } from 'node:worker_threads';
      import { Epoll, EPOLLIN } from 'epoll-pool';
      import { eventfd } from 'epoll-pool/sys';
      const epoll = new Epoll();
      epoll.register(eventfd(1), { events: EPOLLIN });
      parentPort.postMessage(1);
      for await (const event of epoll);
    \`;
    const workers = [1, 2, 3].map(() => new Worker(source, { eval: true }));
    await Promise.all(workers.map(worker => new Promise(resolve => worker.once('message', resolve))));
    setTimeout(() => process.exit(9), 20);
  `);
  expect(result).toMatchObject({ code: 9, signal: null, stdout: '', stderr: '' });
});

test.each([
  ['its number free', ''],
  [
    'its number in use again',
    'const next = new Epoll(); next.register(sys.eventfd(1), { events: EPOLLIN | EPOLLET });',
  ],
])('the owner closes while a Worker waits: EBADF there, %s', async (_what, after) => {
  const source = `
    const source = \`
      import { parentPort, workerData } from 'node:worker_threads';
      import { Epoll, Events } from 'epoll-pool';
      const epoll = Epoll.borrow(workerData);
      await epoll.waitAsync(new Events(1), 50); // the loop has taken it up
      const waiting = epoll.waitAsync(new Events(1));
      parentPort.postMessage('waits');
      await waiting.catch(error => parentPort.postMessage(error.code));
    \`;
    const epoll = new Epoll();
    const { fd } = epoll;
    const worker = new Worker(source, { eval: true, workerData: fd });
    worker.on('message', message => {
      if (message !== 'waits') return console.log(message);
      epoll.close();
      ${after}
      worker.on('exit', () => { ${after && 'console.log(next.fd === fd, next.wait(new Events(1), 0));'} });
    });
  `;
  expect(await run(source)).toEqual(ended(after ? 'EBADF\ntrue 1\n' : 'EBADF\n'));
});
