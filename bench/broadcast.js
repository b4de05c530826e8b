// Broadcast: 100 bytes to each of 1,000 connections, from the main thread and from a handler.
import { inCases } from './lib/goals.js';
import { EPOLLET, EPOLLIN, Epoll, Events, sys } from './lib/ours.js';
import { question } from './lib/question.js';
import { startProcess } from './lib/server.js';
import { BYTES } from './servers/broadcast.js';

const THREADS = 2;
const CONNECTIONS = 1000;
const FEW = 50;
/** Broadcasts asked for ahead of what has come, so that nobody waits for the other. */
const AHEAD = 4;
const PATIENCE_MS = 10_000;

const cases = [
  { name: 'from the main thread', work: 'main', smoke: true },
  { name: 'from a handler', work: 'handler', smoke: true },
];

/** Takes what comes on all connections and only counts it: this must not be the limit. */
class Receivers {
  received = 0;
  #epoll = new Epoll();
  #events = new Events(1024);
  #buffer = new Uint8Array(65_536);
  #fds;
  #ask = new Uint8Array(1);

  constructor(port, count) {
    this.#fds = Array.from({ length: count }, () => sys.connect({ host: '127.0.0.1', port }));
    for (const fd of this.#fds) this.#epoll.register(fd, { events: EPOLLIN | EPOLLET });
  }

  ask() {
    if (sys.write(this.#fds[0], this.#ask) !== 1) throw new Error('no room for one byte');
  }

  /** Waits for more, and takes it. */
  take() {
    const n = this.#epoll.wait(this.#events, 20);
    for (let i = 0; i < n; i++) {
      const bytes = sys.read(Number(this.#events.dataAt(i)), this.#buffer);
      if (bytes === 0) throw new Error('a connection was closed by the server');
      if (bytes > 0) this.received += bytes;
    }
  }
}

const by =
  server =>
  async ({ work }, { warmup, ms, smoke }) => {
    const served = await startProcess(server, work, THREADS);
    const count = smoke ? FEW : CONNECTIONS;
    const receivers = new Receivers(served.port, count);
    await everyoneIsThere(served, count);
    const size = count * BYTES.length;
    let asked = 0;
    const run = milliseconds => {
      const from = { at: performance.now(), received: receivers.received };
      while (performance.now() - from.at < milliseconds || receivers.received === from.received) {
        for (; asked < receivers.received / size + AHEAD; asked++) receivers.ask();
        receivers.take();
      }
      return { messages: (receivers.received - from.received) / BYTES.length, took: performance.now() - from.at };
    };
    run(warmup);
    const { messages, took } = run(ms);
    takeUntil(receivers, asked * size);
    await served.stop();
    return {
      values: { rate: (messages / took) * 1000 },
      sent: asked * count,
      received: receivers.received / BYTES.length,
    };
  };

/** Whoever is accepted after a broadcast gets nothing of it. */
async function everyoneIsThere(served, count) {
  const until = performance.now() + PATIENCE_MS;
  for (let there = 0; there < count; there = await served.connections()) {
    if (performance.now() > until) throw new Error(`${there} of ${count} connections are there`);
  }
}

function takeUntil(receivers, bytes) {
  for (const until = performance.now() + PATIENCE_MS; receivers.received < bytes && performance.now() < until; ) {
    receivers.take();
  }
}

const goal = { ours: 'epoll-pool', metric: 'rate', peer: 'a loop over node:net sockets', atLeast: 1 };

await question(import.meta.url, {
  name: 'broadcast',
  title: 'Broadcast',
  text: `${BYTES.length} bytes to each of ${CONNECTIONS} connections, ${AHEAD} broadcasts asked for ahead; received by one process that only counts; ${THREADS} threads, node:net one process`,
  metrics: { rate: { unit: 'messages/s', better: 'higher' } },
  cases: cases.map(kase => ({ ...kase, fds: 2 * CONNECTIONS })),
  contestants: [
    { name: 'a loop over node:net sockets', run: by('net-broadcast') },
    { name: 'epoll-pool', ours: true, run: by('server-broadcast') },
  ],
  goals: inCases(cases, goal),
});
