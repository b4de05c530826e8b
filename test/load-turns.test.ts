/** How long a thread of a load test stays at one connection. */
import { expect, test } from 'vitest';
// The built package has it only within the bundle of the test's threads.
import * as B from '../src/shared/load/board.js';
import type { Framer } from '../src/shared/load/framer.js';
import { MORE } from '../src/shared/load/http-response.js';
import { Driver } from '../src/worker/load/driver.js';
import { Ledger } from '../src/worker/load/ledger.js';
import type { Wire } from '../src/worker/load/wire.js';
import { boardOf } from './support/load-board.ts';

const EPOLLIN = 1;
const EAGAIN = 11;

test.each([
  ['closed loop', 0],
  ['open loop', 100],
])('%s: an answer of which more comes all the time lets others have their turn', (_name, rate) => {
  const board = boardOf({ rate });
  const { records } = board;
  records[B.STATE] = B.OPEN;
  records[B.FD] = 0;
  records[B.UNDER_WAY] = 1;
  let [reads, runs, left] = [0, 0, 1000];
  const wire: Wire = {
    isShortReadAll: true,
    open: () => 0,
    read: (_at, buffer) => {
      reads++;
      return left-- > 0 ? buffer.length : -EAGAIN;
    },
    write: () => -EAGAIN,
    reason: () => '',
    isTruncated: () => false,
    farewell: () => {},
    release: () => {},
    answered: () => {},
  };
  const framer: Framer = {
    head: false,
    status: 0,
    bytes: 0,
    close: false,
    offset: 0,
    problem: '',
    next: () => MORE,
    isPartial: () => true,
    end: () => MORE,
  };
  const writer = { size: 10, prepare: () => 0, flush: () => 0 };
  const { counts, histogram } = B.countsOf(board, B.joinBoard(board));
  const office = { post: () => {}, close: () => {}, register: () => {} };
  const ledger = new Ledger(board, counts, histogram, writer);
  const again = () => {
    runs++;
  };
  const driver = new Driver({ board, framer, wire, writer, ledger, checker: undefined, office, again });
  driver.visit(0, EPOLLIN);
  expect(runs).toBe(1);
  expect(reads).toBeLessThan(100);
  // Nothing is ready for the run that was asked for; it goes on all the same, until nothing is left.
  for (let i = 0; runs > i; i++) driver.visit(0, 0);
  expect(left).toBe(-1);
  expect(reads).toBe(1001);
});
