/** What a thread has fetched, and a peer takes: each event is had once, whatever comes between two of the peer's instructions. */
import { expect, test, vi } from 'vitest';
import { AGENDA_SLOT, AGENDA_STAMP, createPlan, queueOf, threadOf } from '../src/shared/service/layout.ts';
import { RunQueue } from '../src/shared/service/run-queue.ts';
import { Agenda } from '../src/worker/service/agenda.ts';
import { Peers } from '../src/worker/service/peers.ts';

const EPOLLIN = 1;

test('a thread fetches nothing into an entry that a peer has read and not taken yet', () => {
  const plan = createPlan(2, 8, 4, 0, 1);
  const { agenda: entries, words } = threadOf(plan, 0);
  const agenda = new Agenda(entries, words);
  /** As epoll_wait does; most stamps are alike. */
  const fetch = (slot: number): boolean => {
    if (!agenda.mayFill()) return false;
    entries.set([EPOLLIN], 0);
    entries.set([slot], AGENDA_SLOT);
    entries.set([1], AGENDA_STAMP);
    return true;
  };
  const peers = new Peers(plan, 1);
  const queue = new RunQueue(queueOf(plan), plan.slots, new Int32Array(1), 0);
  const handled: number[] = [];
  expect(fetch(3)).toBe(true);
  // First seen not to get on …
  peers.watch(0, queue, () => {});
  // … and then it gets on, after the peer has read the entry: it handles the event, and is about to fetch the next.
  let hasFetched = false;
  const exchange = vi.spyOn(Atomics, 'exchange').mockImplementationOnce((array, index, value) => {
    expect(agenda.take(0)).toBe(true);
    handled.push(agenda.slot);
    agenda.done();
    hasFetched = fetch(4);
    return Atomics.exchange(array, index, value);
  });
  try {
    peers.watch(10, queue, slot => handled.push(slot));
    expect(exchange).toHaveBeenCalled();
  } finally {
    exchange.mockRestore();
  }
  if (!hasFetched) expect(fetch(4)).toBe(true);
  if (agenda.take(0)) handled.push(agenda.slot);
  expect(handled).toEqual([3, 4]);
});
