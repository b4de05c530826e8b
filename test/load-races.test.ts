/** What two threads of a load test may do to one connection at the same time: each moment that was fatal is played here. */
import { join } from 'node:path';
import { close, listen } from 'epoll-pool/sys';
import { expect, inject, onTestFinished, test } from 'vitest';
// The built package has it only within the bundle of the test's threads.
import { encodePath } from '../src/shared/kernel/sockaddr.js';
import * as B from '../src/shared/load/board.js';
import { Dialer, type Office } from '../src/worker/load/dialer.js';
import { PlainWire } from '../src/worker/load/wire.js';
import { boardOf } from './support/load-board.ts';

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
