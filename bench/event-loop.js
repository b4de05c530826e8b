// The event loop without threads: the same 64 eventfds by waitAsync with a buffer, and by `for await`.
import { feed } from './lib/feeder.js';
import { EPOLLET, EPOLLIN, Epoll, Events } from './lib/ours.js';
import { question } from './lib/question.js';
import { byKoffiPoll, byNpmEpoll } from './lib/watchers.js';

function instance(feed) {
  const epoll = new Epoll();
  for (const fd of feed.fds) epoll.register(fd, { events: EPOLLIN | EPOLLET });
  return epoll;
}

async function byWaitAsync(feed) {
  const epoll = instance(feed);
  const events = new Events(64);
  const loop = async () => {
    for (;;) {
      const n = await epoll.waitAsync(events);
      for (let i = 0; i < n; i++) feed.consume(Number(events.dataAt(i)));
    }
  };
  loop();
}

async function byIteration(feed) {
  const epoll = instance(feed);
  const loop = async () => {
    for await (const { data } of epoll) feed.consume(Number(data));
  };
  loop();
}

const at = { case: '64 eventfds' };

await question(import.meta.url, {
  name: 'event-loop',
  title: 'The event loop, without threads',
  text: '64 eventfds fed by a thread, each again after its event was consumed; read on the main thread',
  metrics: {
    rate: { unit: 'events/s', better: 'higher' },
    cpu: { title: 'CPU with the feeder', unit: 'µs/event', better: 'lower' },
    // Far from 100: it waited for events, and something else was the limit.
    busy: { title: 'main thread busy', unit: '%', better: 'lower' },
    empty: { title: 'events with nothing to read', unit: '', better: 'lower' },
  },
  cases: [{ name: '64 eventfds' }],
  contestants: [
    { name: 'npm epoll', run: (_, time) => feed(byNpmEpoll, time) },
    { name: 'koffi.node.poll', run: (_, time) => feed(byKoffiPoll, time) },
    { name: 'waitAsync', ours: true, run: (_, time) => feed(byWaitAsync, time) },
    { name: 'for await', ours: true, run: (_, time) => feed(byIteration, time) },
  ],
  goals: [
    { ...at, ours: 'waitAsync', metric: 'rate', peer: 'npm epoll', atLeast: 13 },
    { ...at, ours: 'waitAsync', metric: 'rate', peer: 'koffi.node.poll', atLeast: 2.5 },
    { ...at, ours: 'for await', metric: 'rate', peer: 'npm epoll', atLeast: 11 },
    { ...at, ours: 'for await', metric: 'rate', peer: 'koffi.node.poll', atLeast: 2 },
    { ...at, ours: 'waitAsync', metric: 'cpu', peer: 'koffi.node.poll' },
  ],
});
