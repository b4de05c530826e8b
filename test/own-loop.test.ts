/** A thread's own event loop while the thread waits: served within some milliseconds, at no cost when it has nothing. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { EPOLLET, EPOLLIN, Epoll } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, onTestFinished, test } from 'vitest';
import { bundled } from './support/bundle.ts';
import { countFds, eventfd, signal } from './support/fds.ts';
import { pause, until } from './support/service.ts';
import { owned, within } from './support/within.ts';

const STOP = 0;
const EVENTS = 1;
const WAITS = 2;
/** What a body may use. */
const FREE = 3;
/** Follows FREE, by the main thread's doing. */
const ECHO = 4;

const module = bundled('worker/service/own-loop.ts');

interface Options {
  /** The longest wait: what is not served before stays away for so long. */
  slice?: number;
  mayNest?: boolean;
  isBlind?: boolean;
  epoll?: Epoll;
}

interface Waiter {
  readonly worker: Worker;
  readonly words: Int32Array;
  /** What the body returns. */
  result(): Promise<unknown>;
}

/** A thread that waits (test/fixtures/own-loop.mjs); `body` runs in it. */
function waiter(body: string, options: Options = {}): Waiter {
  const { slice = 60_000, mayNest = true, isBlind = false, epoll = owned(new Epoll()) } = options;
  const words = new Int32Array(new SharedArrayBuffer(64));
  const workerData = { epfd: epoll.fd, module, slice, mayNest, isBlind, words, body };
  const worker = new Worker(new URL('fixtures/own-loop.mjs', import.meta.url), { workerData, execArgv: [] });
  const failed = once(worker, 'error').then(([error]) => Promise.reject(error));
  failed.catch(() => {});
  const answered = once(worker, 'message').then(([{ value, error }]) => (error ? Promise.reject(error) : value));
  answered.catch(() => {});
  const echo = setInterval(() => {
    const value = Atomics.load(words, FREE);
    if (Atomics.exchange(words, ECHO, value) !== value) Atomics.notify(words, ECHO);
  }, 1);
  onTestFinished(async () => {
    clearInterval(echo);
    Atomics.store(words, STOP, 1);
    const wake = sys.eventfd(1);
    epoll.register(wake, { events: EPOLLIN });
    await worker.terminate();
    epoll.unregister(wake);
    sys.close(wake);
  });
  return { worker, words, result: () => within(Promise.race([answered, failed]), 30_000, 'the body') };
}

/** Each returns how long it took to be served, ten times; what it sets up stays, and is the thread's own. */
const KINDS: Readonly<Record<string, string>> = {
  'a timer': 'return rounds(() => new Promise(resolve => setTimeout(resolve, 5)));',
  'a timer that is not referenced': 'return rounds(() => new Promise(resolve => setTimeout(resolve, 5).unref()));',
  'an immediate': 'return rounds(() => new Promise(resolve => setImmediate(resolve)));',
  'a file': "const fs = await import('node:fs/promises'); return rounds(() => fs.readFile('/proc/self/stat'));",
  'a name': "const dns = await import('node:dns/promises'); return rounds(() => dns.lookup('localhost'));",
  'a key': `
    const { pbkdf2 } = await import('node:crypto');
    return rounds(() => new Promise(resolve => pbkdf2('a', 'b', 10, 32, 'sha256', resolve)));`,
  'a process': `
    const { spawn } = await import('node:child_process');
    return rounds(() => new Promise(resolve => spawn('true').once('close', resolve)));`,
  'an echo over TCP': `
    const net = await import('node:net');
    const server = net.createServer(socket => socket.pipe(socket)).listen(0, '127.0.0.1');
    await new Promise(resolve => server.once('listening', resolve));
    const client = net.connect(server.address().port, '127.0.0.1').setNoDelay();
    return rounds(() => new Promise(resolve => { client.write('x'); client.once('data', resolve); }));`,
  'a client whose sockets are not referenced': `
    const http = await import('node:http');
    const server = http.createServer((request, response) => response.end('x')).listen(0, '127.0.0.1').unref();
    await new Promise(resolve => server.once('listening', resolve));
    return rounds(async () => (await fetch('http://127.0.0.1:' + server.address().port)).text());`,
  'a message': `
    const { BroadcastChannel, Worker } = await import('node:worker_threads');
    const back = new BroadcastChannel('back');
    const ready = new Promise(resolve => { back.onmessage = resolve; });
    new Worker(\`
      const { BroadcastChannel } = require('node:worker_threads');
      const back = new BroadcastChannel('back');
      new BroadcastChannel('there').onmessage = () => back.postMessage(1);
      back.postMessage(0);
    \`, { eval: true }).unref();
    await ready;
    back.unref();
    const channel = new BroadcastChannel('there');
    return rounds(() => new Promise(resolve => { back.onmessage = resolve; channel.postMessage(1); }));`,
  // Nothing in the loop tells of it: the wait loop knows that a promise is pending.
  'a pending promise that another thread settles': `
    state.isPending = true;
    return rounds(async i => {
      Atomics.store(words, ${FREE}, i + 1);
      for (let seen; (seen = Atomics.load(words, ${ECHO})) <= i;) await Atomics.waitAsync(words, ${ECHO}, seen).value;
    });`,
  'what a run has left to do in a microtask': `
    return rounds(() => new Promise(resolve => {
      state.run = () => { state.hasRun = true; Promise.resolve().then(resolve); };
    }));`,
  'what a run has left to do in the next tick': `
    return rounds(() => new Promise(resolve => {
      state.run = () => { state.hasRun = true; process.nextTick(resolve); };
    }));`,
};

const WAYS: ReadonlyArray<[what: string, options: Options]> = [
  ['by a nest', {}],
  ['at a glance, where the shared instance must not be nested', { mayNest: false }],
  ['at a glance, where nobody can look into the loop', { isBlind: true }],
];

test.each(
  WAYS.flatMap(([way, options]) => Object.entries(KINDS).map(([kind, body]) => ({ kind, way, options, body }))),
)('$kind: $way', async ({ body, options }) => {
  const took = await waiter(body, options).result();
  expect(took).toEqual(Array.from({ length: 10 }, () => expect.any(Number)));
  // Unserved, each would take a wait's 60 s. A process may take 100 ms on a busy machine.
  if (Array.isArray(took)) expect(Math.min(...took)).toBeLessThan(1000);
});

test('nothing of its own: it waits on the shared instance alone, in whole slices', async () => {
  const { words, result } = waiter('return 1', { slice: 100 });
  expect(await result()).toBe(1);
  const before = { waits: Atomics.load(words, WAITS), fds: countFds(), at: performance.now() };
  await pause(500);
  const waits = Atomics.load(words, WAITS) - before.waits;
  expect(waits).toBeLessThanOrEqual((performance.now() - before.at) / 100 + 1);
  expect(waits).toBeGreaterThan(0);
  expect(countFds()).toBe(before.fds);
});

test('after a run it waits no longer than it was asked to', async () => {
  const { result } = waiter(
    `
    return new Promise(resolve => {
      const took = [];
      let at;
      const again = () => {
        state.hasRun = true;
        const from = at;
        at = performance.now();
        if (from !== undefined) took.push(at - from);
        if (took.length === 10) resolve(took);
        else state.run = again;
      };
      state.run = again;
    });`,
    { slice: 2 },
  );
  const took = await result();
  expect(took).toEqual(Array.from({ length: 10 }, () => expect.any(Number)));
  // The event loop's own turn after a run comes after 20 ms.
  if (Array.isArray(took)) expect(Math.min(...took)).toBeLessThan(15);
});

test('an fd that a run has given to the event loop', async () => {
  const [fd, peer] = sys.socketpair(); // fd is Node's to close
  onTestFinished(() => sys.close(peer));
  // It starts to read at once; the loop's epoll instance knows of that in its next turn only.
  const { words, result } = waiter(`
    const { Socket } = await import('node:net');
    await new Promise(resolve => setTimeout(resolve, 10)); // nothing else is due by then
    return new Promise(resolve => {
      state.run = () => {
        new Socket({ fd: ${fd} }).once('data', data => resolve(String(data)));
        Atomics.store(words, ${FREE}, 1);
      };
    });`);
  await until(() => Atomics.load(words, FREE) === 1, 'the run');
  await pause(50); // it waits by then, or soon
  sys.write(peer, Buffer.from('there'));
  expect(await result()).toBe('there');
});

/** Has something of its own until it ends. */
const BUSY = `
  const { BroadcastChannel } = await import('node:worker_threads');
  globalThis.kept = new BroadcastChannel('never');
  return 1;`;

test.each([
  ['with nests', [BUSY, BUSY, BUSY]],
  ['some of them with a nest', [BUSY, 'return 1', BUSY, 'return 1']],
] as const)('threads %s: each edge of the shared instance is fetched once, and none is lost', async (_what, bodies) => {
  const epoll = owned(new Epoll());
  const waiters = bodies.map(body => waiter(body, { epoll }));
  for (const { result } of waiters) await result();
  const fds = Array.from({ length: 8 }, () => eventfd());
  for (const fd of fds) epoll.register(fd, { events: (EPOLLIN | EPOLLET) >>> 0 });
  const events = (): number => waiters.reduce((sum, { words }) => sum + Atomics.load(words, EVENTS), 0);
  for (let i = 1; i <= 200; i++) {
    for (const fd of fds) signal(fd);
    await until(() => events() >= i * fds.length, `the events of round ${i}`);
  }
  expect(events()).toBe(200 * fds.length);
});

test('what it has of its own, and is silent, does not wake it', async () => {
  const { words, result } = waiter(BUSY, { slice: 100 });
  await result();
  const before = { waits: Atomics.load(words, WAITS), at: performance.now() };
  await pause(500);
  const waits = Atomics.load(words, WAITS) - before.waits;
  expect(waits).toBeLessThanOrEqual((performance.now() - before.at) / 100 + 3);
});

test.each([
  ['process.exit(3)', 'process.exit(3)'],
  ['an exception', "throw new Error('thrown')"],
  ['terminate()', undefined],
])('a thread that is ended by %s leaves nothing open', async (_way, statement) => {
  const epoll = owned(new Epoll());
  const before = countFds();
  const body = statement === undefined ? BUSY : `setTimeout(() => { ${statement} }, 50); ${BUSY}`;
  const { worker, words, result } = waiter(body, { epoll, slice: 50 });
  await result().catch(() => {}); // the exception may be told before it
  const ended = new Promise(resolve => worker.once('exit', resolve));
  if (statement === undefined) {
    await until(() => Atomics.load(words, WAITS) > 0, 'a wait');
    worker.terminate();
  }
  await within(ended);
  // Its nest was open: it has one from its first wait on.
  expect(Atomics.load(words, WAITS)).toBeGreaterThan(0);
  expect(countFds()).toBe(before);
});
