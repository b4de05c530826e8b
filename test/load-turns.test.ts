/** How long a thread of a load test stays at one connection. */
import { expect, test } from 'vitest';
// The built package has it only within the bundle of the test's threads.
import * as B from '../src/shared/load/board.js';
import { boardOf, driverOf } from './support/load-board.ts';

const EPOLLIN = 1;
const EAGAIN = 11;

test.each([
  ['closed loop', 0],
  ['open loop', 100],
])('%s: an answer of which more comes all the time lets others have their turn', (_name, rate) => {
  const board = boardOf({ rate });
  board.records[B.UNDER_WAY] = 1;
  let [reads, runs, left] = [0, 0, 1000];
  const { driver } = driverOf(board, {
    read: (_at, buffer) => {
      reads++;
      return left-- > 0 ? buffer.length : -EAGAIN;
    },
    isPartial: true,
    again: () => {
      runs++;
    },
  });
  driver.visit(0, EPOLLIN);
  expect(runs).toBe(1);
  expect(reads).toBeLessThan(100);
  // Nothing is ready for the run that was asked for; it goes on all the same, until nothing is left.
  for (let i = 0; runs > i; i++) driver.visit(0, 0);
  expect(left).toBe(-1);
  expect(reads).toBe(1001);
});
