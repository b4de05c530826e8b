// An 'event' listener on the main thread, or a loop: 64 eventfds that a thread feeds, edge-triggered; the listener reads them.
import { feed } from './lib/feeder.js';
import { EPOLLET, EPOLLIN, WaitService } from './lib/ours.js';
import { question } from './lib/question.js';
import { byKoffiPoll, byNpmEpoll } from './lib/watchers.js';

async function byListener(feed) {
  const service = await start(feed);
  service.on('event', ({ fd }) => feed.consume(fd));
}

async function byLoop(feed) {
  const service = await start(feed);
  (async () => {
    for await (const { fd } of service) feed.consume(fd);
  })();
}

async function start(feed) {
  const service = await WaitService.start({ threads: 1 });
  await Promise.all(feed.fds.map(fd => service.register(fd, { events: EPOLLIN | EPOLLET })));
  return service;
}

const ours = { case: '64 eventfds', ours: 'epoll-pool' };

await question(import.meta.url, {
  name: 'listener',
  title: "Events to an 'event' listener",
  text: 'a service of one thread, without a handler; 64 eventfds fed by a thread, each again after its event was consumed',
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
    { name: 'epoll-pool', ours: true, run: (_, time) => feed(byListener, time) },
    { name: 'epoll-pool, for await', ours: true, run: (_, time) => feed(byLoop, time) },
  ],
  goals: [
    { ...ours, metric: 'rate', peer: 'npm epoll', atLeast: 10 },
    { ...ours, metric: 'rate', peer: 'koffi.node.poll', atLeast: 2 },
    { ...ours, metric: 'cpu', peer: 'koffi.node.poll' },
    { ...ours, ours: 'epoll-pool, for await', metric: 'rate', peer: 'npm epoll' },
    { ...ours, ours: 'epoll-pool, for await', metric: 'rate', peer: 'koffi.node.poll' },
  ],
});
