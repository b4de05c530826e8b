/** Instances inside instances, as deep as the kernel allows. */
import { EPOLLIN, Epoll, Events } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd } from './support/fds.ts';
import { run } from './support/run.ts';
import { owned, within } from './support/within.ts';

test('an event of an inner instance shows in the outer one, both waited for on the loop', async () => {
  const [outer, inner] = [owned(new Epoll()), owned(new Epoll())];
  outer.register(inner, { events: EPOLLIN });
  const events = new Events(1);
  const waits = [outer.waitAsync(events, 10_000), inner.waitAsync(new Events(1), 10_000)];
  inner.register(eventfd(1), { events: EPOLLIN });
  expect(await within(Promise.all(waits))).toEqual([1, 1]);
  expect(events.dataAt(0)).toBe(BigInt(inner.fd));
});

// In a process of its own: what libuv makes of a chain that is too deep is abort().
test('a chain too deep is a typed rejection, and the process lives', async () => {
  const result = await run(`
    const chain = [new Epoll()];
    let refused;
    for (let depth = 1; depth < 10 && !refused; depth++) {
      const next = new Epoll();
      try {
        next.register(chain.at(-1), { events: EPOLLIN });
        chain.push(next);
      } catch (error) {
        refused = error.code;
      }
    }
    const outcomes = [];
    for (const epoll of chain) outcomes.push(await epoll.waitAsync(new Events(1), 20).catch(e => e.name + ' ' + e.code));
    chain[0].register(sys.eventfd(1), { events: EPOLLIN });
    for (const epoll of chain) outcomes.push(await epoll.waitAsync(new Events(1), 20).catch(e => e.name + ' ' + e.code));
    console.log(JSON.stringify({ refused, outcomes }));
  `);
  expect(result).toMatchObject({ code: 0, signal: null, stderr: '' });
  const { refused, outcomes } = JSON.parse(result.stdout);
  expect(['ELOOP', 'EINVAL']).toContain(refused);
  expect(outcomes[0]).toBe(0);
  for (const outcome of outcomes) expect([0, 1, 'EpollError ELOOP', 'EpollError EINVAL']).toContain(outcome);
});

test('a chain that grows below an instance that is waited for', async () => {
  const result = await run(`
    const top = new Epoll();
    const waiting = top.waitAsync(new Events(1), 500).catch(e => e.code);
    let below = top;
    for (let depth = 0; depth < 8; depth++) {
      const next = new Epoll();
      try { below.register(next, { events: EPOLLIN }); } catch { break; }
      below = next;
    }
    below.register(sys.eventfd(1), { events: EPOLLIN });
    console.log(await waiting);
    console.log(top.wait(new Events(1), 0));
  `);
  expect(result).toMatchObject({ code: 0, signal: null, stderr: '' });
  expect(['1\n1\n', 'ELOOP\n1\n', 'EINVAL\n1\n']).toContain(result.stdout);
});
