/** for await over an instance: what was fetched of an fd that was unregistered, modified or registered anew is not yielded. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, Epoll, type Event, Waker } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { describe, expect, test } from 'vitest';
import { closing, drain, eventfd, signal, socketpair } from './support/fds.ts';
import { owned, thrown, within } from './support/within.ts';

const END = 2n ** 40n;
/** Registered first: its event is the first of the batch, and its body is where things are asked for. */
const FIRST = 2n ** 41n;

/**
 * What is yielded after the first event, whose body is given; until something that is registered at the end has had time
 * to come, which shows that there is no more.
 */
async function yieldedAfter(epoll: Epoll, body: () => void, each: (event: Event) => void = () => {}): Promise<Event[]> {
  const end = eventfd();
  epoll.register(end, { events: EPOLLIN | EPOLLET, data: END });
  const seen: Event[] = [];
  const loop = async (): Promise<void> => {
    for await (const event of epoll) {
      if (event.data === END) return;
      if (event.data === FIRST) {
        body();
        setImmediate(() => setImmediate(signal, end));
      } else {
        seen.push(event);
        each(event);
      }
    }
  };
  await within(loop());
  epoll.unregister(end);
  return seen;
}

/** An instance with the one that comes first. */
function instance(): Epoll {
  const epoll = owned(new Epoll());
  epoll.register(eventfd(1), { events: EPOLLIN | EPOLLET, data: FIRST });
  return epoll;
}

/** Reads what is there, so that level-triggered ones are quiet. */
function reading(...fds: number[]): () => void {
  return () => {
    for (const fd of fds) drain(fd);
  };
}

const MODES = { level: EPOLLIN, edge: (EPOLLIN | EPOLLET) >>> 0, oneshot: EPOLLIN | EPOLLONESHOT };

describe.each(Object.entries(MODES))('%s', (_mode, events) => {
  test('unregister(): none of it, all of the others', async () => {
    const epoll = instance();
    const [gone, kept] = [eventfd(1), eventfd(1)];
    epoll.register(gone, { events, data: 1 });
    epoll.register(kept, { events, data: 2 });
    expect(await yieldedAfter(epoll, () => epoll.unregister(gone), reading(kept))).toEqual([
      { events: EPOLLIN, data: 2n },
    ]);
  });

  test('modify(): the new mask and data only, and nothing is lost', async () => {
    const epoll = instance();
    const [fd, peer] = socketpair();
    sys.write(peer, Buffer.from('x'));
    epoll.register(fd, { events, data: 1 });
    const mode = events & ~EPOLLIN;
    const ask = (): void => epoll.modify(fd, { events: EPOLLIN | EPOLLOUT | mode, data: 2 });
    const rest = (): void => epoll.modify(fd, { events: mode, data: 3 });
    expect(await yieldedAfter(epoll, ask, rest)).toEqual([{ events: EPOLLIN | EPOLLOUT, data: 2n }]);
  });

  test('modify() to what is not ready: nothing', async () => {
    const epoll = instance();
    const [fd, peer] = socketpair();
    epoll.register(fd, { events: (events & ~EPOLLIN) | EPOLLOUT, data: 1 });
    expect(await yieldedAfter(epoll, () => epoll.modify(fd, { events, data: 1 }))).toEqual([]);
    // Armed as ever.
    sys.write(peer, Buffer.from('x'));
    const first = eventfd(1);
    epoll.register(first, { events: EPOLLIN | EPOLLET, data: FIRST });
    const read = (): number => sys.read(fd, Buffer.alloc(8));
    expect(await yieldedAfter(epoll, () => {}, read)).toEqual([{ events: EPOLLIN, data: 1n }]);
  });

  test.each([
    ['unregistered and closed', true],
    ['closed', false],
  ])('a new file under the number of one that was %s', async (_what, unregisters) => {
    const epoll = instance();
    const old = sys.eventfd(1);
    epoll.register(old, { events, data: 7 });
    let now = -1;
    const replace = (): void => {
      if (unregisters) epoll.unregister(old);
      sys.close(old);
      now = eventfd();
      expect(now).toBe(old);
      epoll.register(now, { events, data: 7 });
    };
    expect(await yieldedAfter(epoll, replace)).toEqual([]);
    signal(now);
    epoll.register(eventfd(1), { events: EPOLLIN | EPOLLET, data: FIRST });
    expect(
      await yieldedAfter(
        epoll,
        () => {},
        () => drain(now),
      ),
    ).toEqual([{ events: EPOLLIN, data: 7n }]);
  });

  test('what a loop that was left early had fetched', async () => {
    const epoll = instance();
    const [gone, kept] = [eventfd(1), eventfd(1)];
    epoll.register(gone, { events, data: 1 });
    epoll.register(kept, { events, data: 2 });
    for await (const event of epoll) {
      expect(event.data).toBe(FIRST);
      break;
    }
    epoll.unregister(gone);
    for await (const event of epoll) {
      expect(event).toEqual({ events: EPOLLIN, data: 2n });
      break;
    }
  });

  test('fds with the same data: the other’s event comes, whichever of them is ready', async () => {
    for (const [goneReady, keptReady] of [
      [1, 1],
      [1, 0],
      [0, 1],
    ] as const) {
      const epoll = instance();
      const [gone, kept] = [eventfd(goneReady), eventfd(keptReady)];
      epoll.register(gone, { events, data: 5 });
      epoll.register(kept, { events, data: 5 });
      const seen = await yieldedAfter(epoll, () => epoll.unregister(gone), reading(kept));
      expect(seen).toEqual(keptReady ? [{ events: EPOLLIN, data: 5n }] : []);
    }
  });

  test('an fd that was given the data of another meanwhile, and unregistered, takes nothing from it', async () => {
    const epoll = instance();
    const [fd, other] = [eventfd(1), eventfd(1)];
    epoll.register(fd, { events, data: 5 });
    const ask = (): void => {
      epoll.register(other, { events, data: 5 });
      epoll.unregister(other);
    };
    expect(await yieldedAfter(epoll, ask, reading(fd))).toEqual([{ events: EPOLLIN, data: 5n }]);
  });

  test('what another thread has registered, by a borrowed instance', async () => {
    const epoll = instance();
    const [gone, kept] = [eventfd(1), eventfd(1)];
    const ask = (): void => {
      const borrowed = owned(Epoll.borrow(epoll.fd));
      borrowed.register(gone, { events, data: 1 });
      borrowed.register(kept, { events, data: 2 });
    };
    const seen = await yieldedAfter(epoll, ask, ({ data }) => {
      // They come in one batch.
      if (data === 1n) epoll.unregister(kept);
      drain(gone);
    });
    expect(seen).toEqual([{ events: EPOLLIN, data: 1n }]);
  });

  test('a request that fails takes nothing', async () => {
    const epoll = instance();
    const [fd, unknown] = [eventfd(1), eventfd(1)];
    epoll.register(fd, { events, data: BigInt(unknown) });
    const ask = (): void => {
      expect(thrown(() => epoll.unregister(unknown))).toMatchObject({ code: 'ENOENT' });
      expect(thrown(() => epoll.modify(unknown, { events }))).toMatchObject({ code: 'ENOENT' });
      expect(thrown(() => epoll.register(fd, { events, data: 9 }))).toMatchObject({ code: 'EEXIST' });
    };
    expect(await yieldedAfter(epoll, ask, reading(fd))).toEqual([{ events: EPOLLIN, data: BigInt(unknown) }]);
  });

  test('where the list of what is registered cannot be read', async () => {
    const { readFileSync } = fs;
    fs.readFileSync = () => {
      throw Object.assign(new Error('no /proc'), { code: 'ENOENT' });
    };
    syncBuiltinESMExports();
    try {
      const epoll = instance();
      const [gone, kept] = [eventfd(1), eventfd(1)];
      epoll.register(gone, { events, data: 1 });
      epoll.register(kept, { events, data: 2 });
      expect(await yieldedAfter(epoll, () => epoll.unregister(gone), reading(kept))).toEqual([
        { events: EPOLLIN, data: 2n },
      ]);
    } finally {
      fs.readFileSync = readFileSync;
      syncBuiltinESMExports();
    }
  });
});

test('a oneshot that rests is not woken by what is done to another with its data', async () => {
  const epoll = instance();
  const [gone, resting] = [eventfd(), eventfd(1)];
  epoll.register(resting, { events: EPOLLIN | EPOLLONESHOT, data: 5 });
  epoll.register(gone, { events: EPOLLIN | EPOLLONESHOT, data: 5 });
  // `resting` has had its run; it stays ready.
  expect(await yieldedAfter(epoll, () => {})).toEqual([{ events: EPOLLIN, data: 5n }]);
  epoll.register(eventfd(1), { events: EPOLLIN | EPOLLET, data: FIRST });
  signal(gone); // ready after the first, and spent with it in one look
  expect(await yieldedAfter(epoll, () => epoll.unregister(gone))).toEqual([]);
});

test('of loops beside one another: what one does with its event counts for what the next is given', async () => {
  const epoll = owned(new Epoll());
  const fds = [eventfd(), eventfd(), eventfd()];
  for (const [i, fd] of fds.entries()) epoll.register(fd, { events: EPOLLIN | EPOLLET, data: i });
  const seen: bigint[] = [];
  const loop = async (): Promise<void> => {
    for await (const { data } of epoll) {
      seen.push(data);
      if (data === 0n) epoll.unregister(fds[1] ?? -1);
      if (data === 2n) epoll.close();
    }
  };
  const loops = [loop(), loop(), loop()];
  for (const fd of fds) signal(fd);
  await within(Promise.all(loops));
  expect(seen).toEqual([0n, 2n]);
});

test('of loops that begin beside one another while all is ready: the same', async () => {
  const epoll = owned(new Epoll());
  const fds = [eventfd(1), eventfd(1), eventfd(1)];
  for (const [i, fd] of fds.entries()) epoll.register(fd, { events: EPOLLIN | EPOLLET, data: i });
  const seen: bigint[] = [];
  const loop = async (): Promise<void> => {
    for await (const { data } of epoll) {
      seen.push(data);
      if (data === 0n) epoll.unregister(fds[1] ?? -1);
      if (data === 2n) epoll.close();
    }
  };
  await within(Promise.all([loop(), loop(), loop()]));
  expect(seen).toEqual([0n, 2n]);
});

test('a connection that is closed for another’s sake, and a new one under its number', async () => {
  const epoll = owned(new Epoll());
  const [a, writer] = socketpair();
  const [b, hungUp] = sys.socketpair();
  epoll.register(a, { events: EPOLLIN });
  epoll.register(b, { events: EPOLLIN });
  sys.write(writer, Buffer.from('drop b'));
  sys.close(hungUp);
  let fresh = -1;
  let silent = -1;
  const seen: number[] = [];
  setTimeout(() => epoll.close(), 100);
  for await (const { data } of epoll) {
    seen.push(Number(data));
    if (Number(data) !== a) break;
    sys.read(a, Buffer.alloc(8));
    epoll.unregister(b);
    sys.close(b);
    [fresh, silent] = sys.socketpair();
    expect(fresh).toBe(b);
    epoll.register(fresh, { events: EPOLLIN });
  }
  closing(fresh);
  closing(silent);
  expect(seen).toEqual([a]);
});

test('a Waker that was closed: its event is not yielded', async () => {
  const epoll = instance();
  const waker = owned(new Waker(epoll, 1));
  const other = eventfd(1);
  epoll.register(other, { events: EPOLLIN | EPOLLET, data: 2 });
  waker.wake();
  expect(await yieldedAfter(epoll, () => waker.close())).toEqual([{ events: EPOLLIN, data: 2n }]);
});
