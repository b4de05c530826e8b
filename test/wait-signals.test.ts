/** A signal does not end a wait: EINTR is retried with the time that is left. */
import { expect, test } from 'vitest';
import { run, start } from './support/run.ts';
import { within } from './support/within.ts';

const TGKILL = process.arch === 'x64' ? 234 : 131;

/** In the child: a thread that signals the main one every few milliseconds, until told to stop, and counts. */
const SIGNALLER = `
process.on('SIGUSR2', () => {});
const state = new Int32Array(new SharedArrayBuffer(8)); // 0: go on, 1: how many signals
const { default: koffi } = await import('koffi');
const gettid = koffi.load(null).func('gettid', 'int', []);
function signaller(tid) {
  return new Worker(\`
    import { workerData, parentPort } from 'node:worker_threads';
    import koffi from 'koffi';
    const { state, tid } = workerData;
    const tgkill = koffi.load(null).func('syscall', 'long', ['long', 'int', 'int', 'int']);
    parentPort.postMessage('ready');
    while (Atomics.load(state, 0) === 0) {
      Atomics.wait(state, 0, 0, 3);
      if (tgkill(${TGKILL}, process.pid, tid, 12) === 0) Atomics.add(state, 1, 1);
    }
  \`, { eval: true, workerData: { state, tid } });
}
`;

test('the main thread, signalled by its thread id', async () => {
  const result = await run(`${SIGNALLER}
    const worker = signaller(gettid());
    await new Promise(resolve => worker.once('message', resolve));
    const epoll = new Epoll();
    const before = Atomics.load(state, 1);
    const from = performance.now();
    const n = epoll.wait(new Events(1), 400);
    const ms = performance.now() - from;
    const signals = Atomics.load(state, 1) - before;
    Atomics.store(state, 0, 1);
    console.log(JSON.stringify({ n, ms, signals }));
  `);
  expect(result).toMatchObject({ code: 0, signal: null, stderr: '' });
  const { n, ms, signals } = JSON.parse(result.stdout);
  expect(n).toBe(0);
  expect(ms).toBeGreaterThanOrEqual(400);
  expect(ms).toBeLessThan(5000); // started anew by each signal it would never end
  expect(signals).toBeGreaterThan(2);
});

test('a wait without end goes on until its event', async () => {
  const result = await run(`${SIGNALLER}
    const worker = signaller(gettid());
    await new Promise(resolve => worker.once('message', resolve));
    const epoll = new Epoll();
    const events = new Events(1);
    const from = performance.now();
    epoll.register(sys.timerfd(300), { events: EPOLLIN, data: 5n });
    const n = epoll.wait(events);
    Atomics.store(state, 0, 1);
    console.log(n, events.dataAt(0), performance.now() - from >= 299);
  `);
  expect(result).toMatchObject({ code: 0, stdout: '1 5n true\n', stderr: '' });
});

test('a Worker, signalled by its thread id', { tags: ['slow'] }, async () => {
  const result = await run(`${SIGNALLER}
    const waiter = new Worker(\`
      import { parentPort } from 'node:worker_threads';
      import koffi from 'koffi';
      import { Epoll, Events } from 'epoll-pool';
      parentPort.postMessage(koffi.load(null).func('gettid', 'int', [])());
      parentPort.once('message', () => {
        const from = performance.now();
        const n = new Epoll().wait(new Events(1), 400);
        parentPort.postMessage({ n, ms: performance.now() - from });
        parentPort.close();
      });
    \`, { eval: true });
    const worker = signaller(await new Promise(resolve => waiter.once('message', resolve)));
    await new Promise(resolve => worker.once('message', resolve));
    waiter.postMessage('go');
    const result = await new Promise(resolve => waiter.once('message', resolve));
    Atomics.store(state, 0, 1);
    console.log(JSON.stringify({ ...result, signals: Atomics.load(state, 1) }));
  `);
  expect(result).toMatchObject({ code: 0, signal: null, stderr: '' });
  const { n, ms, signals } = JSON.parse(result.stdout);
  expect(n).toBe(0);
  expect(ms).toBeGreaterThanOrEqual(400);
  expect(ms).toBeLessThan(5000);
  expect(signals).toBeGreaterThan(2);
});

test('signals from another process; the handler runs after the wait', async () => {
  const { child, result } = start(`
    let handled = 0;
    process.on('SIGUSR2', () => { handled++; });
    console.log('ready');
    await new Promise(resolve => setTimeout(resolve, 50));
    handled = 0;
    const from = performance.now();
    const n = new Epoll().wait(new Events(1), 400);
    const ms = performance.now() - from;
    const during = handled;
    await new Promise(resolve => setTimeout(resolve, 100));
    console.log(JSON.stringify({ n, ms, during, after: handled > 0 }));
    process.exit(); // signals go on coming
  `);
  await within(new Promise(resolve => child.stdout?.once('data', resolve)), 10_000, 'the child');
  const timer = setInterval(() => child.kill('SIGUSR2'), 10);
  const { code, signal, stdout, stderr } = await result.finally(() => clearInterval(timer));
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  const { n, ms, during, after } = JSON.parse(stdout.split('\n')[1] ?? '');
  expect({ n, during, after }).toEqual({ n: 0, during: 0, after: true });
  expect(ms).toBeGreaterThanOrEqual(400);
  expect(ms).toBeLessThan(5000);
});

test('a deadly signal still ends a process that waits', async () => {
  const { child, result } = start(`
    console.log('ready');
    new Epoll().wait(new Events(1));
  `);
  await within(new Promise(resolve => child.stdout?.once('data', resolve)), 10_000, 'the child');
  child.kill('SIGTERM');
  expect(await result).toMatchObject({ code: null, signal: 'SIGTERM' });
});
