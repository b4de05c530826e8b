/**
 * Edges that come before an event is given to its consumer are that event; those that come while it is with them are one more.
 *
 * @module-tag slow
 */
import { EPOLLET, EPOLLIN, type ServiceEvent, type WaitService } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd, signal } from './support/fds.ts';
import { quiet, start, total, until } from './support/service.ts';

type Consume = (service: WaitService, onEvent: (event: ServiceEvent) => Promise<void>) => void;

const CONSUMERS: Record<string, Consume> = {
  'a listener': (service, onEvent) => {
    service.on('event', onEvent);
  },
  'a loop': (service, onEvent) => {
    (async () => {
      for await (const event of service) await onEvent(event);
    })();
  },
};

/** Blocks this thread until that many events have met a registration that is held. */
function spinUntilContended(service: WaitService, count: number): void {
  for (const limit = performance.now() + 5000; total(service, 'contended') < count; ) {
    if (performance.now() > limit) throw new Error('the edges are not met');
  }
}

test.each(Object.entries(CONSUMERS))('%s: edges before it is given are one event', async (_, consume) => {
  const { service } = await start({ threads: 2 });
  const fd = eventfd();
  await service.register(fd, { events: EPOLLIN | EPOLLET });
  signal(fd);
  await until(() => total(service, 'handled') === 1, 'the event, put aside');
  for (let i = 1; i <= 3; i++) {
    signal(fd);
    await until(() => total(service, 'contended') === i, 'the edge');
  }
  let events = 0;
  consume(service, async () => {
    events++;
  });
  await until(() => events > 0, 'an event');
  await quiet();
  expect(events).toBe(1);
});

test.each(Object.entries(CONSUMERS))('%s: edges while it is there are one more, in every round', async (_, consume) => {
  const { service } = await start({ threads: 2 });
  const fd = eventfd();
  await service.register(fd, { events: EPOLLIN | EPOLLET });
  let events = 0;
  let met = 0;
  consume(service, async () => {
    if (++events > 5) return;
    // This thread is busy: the others meet the edges.
    for (let i = 0; i < 3; i++) {
      signal(fd);
      spinUntilContended(service, ++met);
    }
  });
  signal(fd);
  await until(() => events === 6, 'one event for each round');
  await quiet();
  expect(events).toBe(6);
});
