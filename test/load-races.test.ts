/** What two threads of a load test may do to one connection at the same time: each moment that was fatal is played here. */
import { join } from 'node:path';
import { WaitService } from 'epoll-pool';
import { close, listen } from 'epoll-pool/sys';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { Connector } from '../dist/main/load/connector.js';
import { Fleet } from '../dist/main/load/fleet.js';
import { Tally } from '../dist/main/load/tally.js';
import { parseTarget } from '../dist/shared/load/target.js';
// The built package has it only within the bundle of the test's threads.
import { encodePath } from '../src/shared/kernel/sockaddr.js';
import * as B from '../src/shared/load/board.js';
import { EVENT, enter, leave, POPPED } from '../src/shared/load/owner.js';
import { Dialer, type Office } from '../src/worker/load/dialer.js';
import { Ledger } from '../src/worker/load/ledger.js';
import { OpenLoop } from '../src/worker/load/open-loop.js';
import { PlainWire } from '../src/worker/load/wire.js';
import { boardOf } from './support/load-board.ts';
import { NOBODY, rawServer } from './support/load-server.ts';

const EPOLLIN = 1;
const NO_OFFICE: Office = { post: () => {}, close: () => {}, register: () => {} };

test('a connection that ends before the thread that opened it is done is opened again', () => {
  const path = join(inject('scratch'), 'load-races');
  const listener = listen({ path });
  onTestFinished(() => close(listener));
  const board = boardOf({ address: encodePath(Buffer.from(path)).bytes });
  const { records, gates } = board;
  board.times[B.END] = Number.POSITIVE_INFINITY;
  records[B.STATE] = B.OPEN;
  gates[0] = B.ANY_THREAD;
  const fds = new Set<number>();
  onTestFinished(() => fds.forEach(fd => void close(fd)));
  const dialerOf = (register: Office['register']) => {
    const { counts } = B.countsOf(board, 0);
    const dialer = new Dialer(board, new PlainWire(board), counts, { ...NO_OFFICE, register }, () => {});
    dialer.own = 0;
    return dialer;
  };
  const second = dialerOf(fd => void fds.add(fd));
  // Registered, it is another thread's at once, to which the server has ended it.
  const first = dialerOf(fd => {
    fds.add(fd);
    expect(second.replace(0, true, false)).toBe(B.NOTHING);
  });
  expect(first.replace(0, true, false)).toBe(B.NOTHING);
  expect(fds.size).toBe(2);
  expect(records[B.STATE]).toBe(B.OPEN);
  expect(gates[0]).toBe(B.ANY_THREAD);
});

/** The main thread, and an open loop's one connection, at which this thread is: it may give it what is due at any moment. */
async function fleetMeetingThread(url: string) {
  const board = boardOf({ rate: 1000, pipelining: 2 });
  board.times[B.COUNT_FROM] = 0;
  const service = await WaitService.start({ threads: 1 });
  const connector = new Connector(parseTarget(url), 5000, 1, () => {});
  const tally = new Tally(board, false);
  const fleet = new Fleet(board, 1, 5000, 1, service, connector, tally);
  onTestFinished(async () => {
    fleet.end();
    await service.close();
    fleet.close();
  });
  expect(enter(board.owners, 0, POPPED)).toBe(true);
  return { board, fleet, tally };
}

test('a connection that could not be opened: what a thread gives it meanwhile is lost with it', async () => {
  const { board, fleet, tally } = await fleetMeetingThread(NOBODY);
  const { records, owners } = board;
  records[B.UNDER_WAY] = records[B.UNWRITTEN] = 1;
  const tried = fleet.openAll();
  await vi.waitFor(() => expect(fleet.failedSince).toBe(1), { timeout: 10_000, interval: 1 });
  expect(tally.errorCount).toBe(0);
  records[B.UNDER_WAY] = records[B.UNWRITTEN] = 2;
  expect(leave(owners, 0)).toBe(0);
  await tried;
  expect(tally.errors.connect).toBe(2);
  expect(records[B.UNDER_WAY]).toBe(0);
});

test('a connection is open once no thread is at it that found it closed, and then it may break', async () => {
  let accepted = 0;
  const { authority } = await rawServer(() => accepted++);
  const { board, fleet } = await fleetMeetingThread(`http://${authority}/`);
  const { records, owners, gates } = board;
  const opened = fleet.openAll();
  await vi.waitFor(() => expect(accepted).toBe(1), { timeout: 10_000, interval: 1 });
  await new Promise(setImmediate);
  expect(records[B.STATE]).toBe(B.CLOSED);
  expect(leave(owners, 0)).toBe(0);
  await opened;
  expect(records[B.STATE]).toBe(B.OPEN);
  expect(gates[0]).toBe(B.ANY_THREAD);
  expect(owners[0]).toBe(0);
});

test.each<[string, Array<typeof EVENT | typeof POPPED>, string[]]>([
  ['an event', [EVENT], ['event']],
  ['being taken off the queue', [POPPED], ['no event']],
  ['both', [EVENT, POPPED], ['event', 'no event']],
])('whoever is at a connection does what %s asks for that came meanwhile', (_what, reasons, after) => {
  const board = boardOf({ rate: 1000 });
  if (board.schedule === undefined) throw new Error('an open loop has a schedule');
  board.records[B.QUEUED] = 1;
  const turns: string[] = [];
  const turn = (_id: number, events: number) => {
    turns.push(events === 0 ? 'no event' : 'event');
    if (turns.length === 1) for (const reason of reasons) expect(enter(board.owners, 0, reason)).toBe(false);
  };
  const { counts, histogram } = B.countsOf(board, 0);
  const ledger = new Ledger(board, counts, histogram, { size: 0, prepare: () => 0, flush: () => 0 });
  new OpenLoop(board, board.schedule, ledger, { turn }).visit(0, EPOLLIN);
  expect(turns).toEqual(['event', ...after]);
  expect(board.records[B.QUEUED]).toBe(reasons.includes(POPPED) ? 0 : 1);
  expect(board.owners[0]).toBe(0);
});
