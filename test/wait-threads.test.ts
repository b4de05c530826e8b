/** Many threads wait on one instance; threads that are blocked in a wait can be ended. */
import { EPOLLET, EPOLLIN, EPOLLONESHOT, Epoll } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd, signal } from './support/fds.ts';
import { run } from './support/run.ts';
import { type Thread, thread } from './support/thread.ts';
import { owned } from './support/within.ts';

const STOP = 2n ** 64n - 1n;

/** A thread that waits on the instance until it meets STOP, and posts the data of all events that it was given. */
function waiter(epoll: Epoll, then = ''): Thread {
  return thread(
    `const epoll = Epoll.borrow(workerData);
     const events = new Events(1);
     const seen = [];
     post('waits');
     for (;;) {
       epoll.wait(events);
       const data = events.dataAt(0);
       if (data === ${STOP}n) break;
       ${then}
       seen.push(data);
     }
     post(seen);`,
    epoll.fd,
  );
}

async function collect(threads: Thread[]): Promise<bigint[]> {
  const lists = await Promise.all(threads.map(t => t.message()));
  return lists.flatMap(list => (Array.isArray(list) ? list : [])).sort((a, b) => Number(a - b));
}

test.each([
  ['EPOLLET', EPOLLET],
  ['EPOLLONESHOT', EPOLLONESHOT],
])('with %s each event goes to exactly one of four threads', async (_, mode) => {
  const epoll = owned(new Epoll());
  const fds = Array.from({ length: 200 }, () => eventfd());
  for (const [i, fd] of fds.entries()) epoll.register(fd, { events: EPOLLIN | mode, data: i });
  const threads = Array.from({ length: 4 }, () => waiter(epoll));
  for (const t of threads) expect(await t.message()).toBe('waits');
  for (const fd of fds) signal(fd);
  // All have come once they are out of the ready list; level-triggered, STOP then ends every thread.
  epoll.register(eventfd(1), { events: EPOLLIN, data: STOP });
  expect(await collect(threads)).toEqual(fds.map((_, i) => BigInt(i)));
});

test('what one thread registers, another that waits already gets', async () => {
  const epoll = owned(new Epoll());
  const t = waiter(epoll);
  expect(await t.message()).toBe('waits');
  for (let i = 0; i < 50; i++) epoll.register(eventfd(1), { events: EPOLLIN | EPOLLET, data: i });
  epoll.register(eventfd(1), { events: EPOLLIN, data: STOP });
  expect(await collect([t])).toEqual(Array.from({ length: 50 }, (_, i) => BigInt(i)));
});

test('a oneshot that each thread arms again is seen by one at a time, and as often as it was armed', async () => {
  const epoll = owned(new Epoll());
  const fd = eventfd(1);
  const cells = new Int32Array(new SharedArrayBuffer(12)); // inside, overlaps, runs
  const source = `
    const { epfd, fd, cells } = workerData;
    const epoll = Epoll.borrow(epfd);
    const events = new Events(8);
    post('waits');
    while (Atomics.load(cells, 2) < 2000) {
      if (epoll.wait(events, 20) === 0) continue;
      if (Atomics.add(cells, 0, 1) !== 0) Atomics.add(cells, 1, 1);
      Atomics.add(cells, 2, 1);
      Atomics.sub(cells, 0, 1);
      epoll.modify(fd, { events: EPOLLIN | EPOLLONESHOT });
    }
    post('done');`;
  const threads = Array.from({ length: 3 }, () => thread(source, { epfd: epoll.fd, fd, cells }));
  for (const t of threads) expect(await t.message()).toBe('waits');
  epoll.register(fd, { events: EPOLLIN | EPOLLONESHOT });
  for (const t of threads) expect(await t.message()).toBe('done');
  expect(cells[1]).toBe(0);
  expect(cells[2]).toBeGreaterThanOrEqual(2000);
});

test('an fd taken out and put in again while another thread waits is reported as it was put in last', async () => {
  const epoll = owned(new Epoll());
  const t = waiter(epoll);
  expect(await t.message()).toBe('waits');
  const first = eventfd();
  epoll.register(first, { events: EPOLLIN, data: 1n });
  epoll.unregister(first);
  epoll.register(first, { events: EPOLLIN | EPOLLET, data: 2n });
  signal(first);
  epoll.register(eventfd(1), { events: EPOLLIN, data: STOP });
  expect(await collect([t])).toEqual([2n]);
});

const BLOCKED = `
  const epoll = new Epoll();
  const source = \`
    import { workerData, parentPort } from 'node:worker_threads';
    import { Epoll, Events } from 'epoll-pool';
    const epoll = Epoll.borrow(workerData);
    const events = new Events(1);
    parentPort.postMessage('waits');
    epoll.wait(events);
  \`;
  const workers = Array.from({ length: 6 }, () => new Worker(source, { eval: true, workerData: epoll.fd }));
  await Promise.all(workers.map(worker => new Promise(resolve => worker.once('message', resolve))));
  await new Promise(resolve => setTimeout(resolve, 50));
  const from = performance.now();
`;

test('worker.terminate() ends threads that are blocked in wait()', async () => {
  const result = await run(`${BLOCKED}
    const codes = await Promise.all(workers.map(worker => worker.terminate()));
    console.log(codes.join(), performance.now() - from < 2000);
  `);
  expect(result).toMatchObject({ code: 0, signal: null, stdout: '1,1,1,1,1,1 true\n', stderr: '' });
});

test.each([
  ['process.exit()', 'process.exit(7)', 7],
  ['an uncaught error', 'throw new Error("mine")', 1],
])('%s ends the process although threads are blocked in wait()', async (_, end, code) => {
  const result = await run(`${BLOCKED}
    process.on('exit', () => console.log(Date.now()));
    ${end};
  `);
  expect(result).toMatchObject({ code, signal: null });
  expect(Date.now() - Number(result.stdout)).toBeLessThan(3000);
});
