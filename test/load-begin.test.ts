/** A closed loop's first requests: the test begins between a thread's look at the clock and its look at when it begins. */
import { expect, test } from 'vitest';
// The built package has it only within the bundle of the test's threads.
import * as B from '../src/shared/load/board.js';
import { clock } from '../src/shared/load/clock.js';
import { MORE } from '../src/shared/load/http-response.js';
import { boardOf, driverOf } from './support/load-board.ts';

const EPOLLIN = 1;
const EAGAIN = 11;

/** A thread reads two bytes on an open connection that has nothing to do. @param begins as main does then */
function firstVisit(warmup: number, begins: (times: Float64Array) => void): { counts: Float64Array; taken: number } {
  const board = boardOf({ pipelining: 4, warmup, requests: 100 });
  let reads = 0;
  const { driver, counts } = driverOf(board, {
    read: () => (reads++ === 0 ? 2 : -EAGAIN),
    next: () => {
      begins(board.times);
      return MORE;
    },
  });
  driver.visit(0, EPOLLIN);
  return { counts, taken: Number(board.taken[0]) };
}

test('not before it is known when counting begins', () => {
  const { counts, taken } = firstVisit(0, () => {});
  expect(taken).toBe(0);
  expect(counts[B.BEGUN]).toBe(0);
});

test('without a warm-up each request counts, though the thread looked at the clock before', () => {
  const { counts, taken } = firstVisit(0, times => {
    times[B.COUNT_FROM] = clock();
    times[B.END] = clock() + 1000;
  });
  expect(taken).toBe(4);
  expect(counts[B.BEGUN]).toBe(4);
  expect(counts[B.REQUESTS]).toBe(4);
});

test('they count when of the times only the first is written yet, too', () => {
  const { counts, taken } = firstVisit(0, times => {
    times[B.COUNT_FROM] = clock();
  });
  expect(taken).toBe(4);
  expect(counts[B.REQUESTS]).toBe(4);
});

test('those of a warm-up do not', () => {
  const { counts, taken } = firstVisit(1000, times => {
    times[B.COUNT_FROM] = clock() + 1000;
    times[B.END] = clock() + 2000;
  });
  expect(taken).toBe(0);
  expect(counts[B.BEGUN]).toBe(4);
  expect(counts[B.REQUESTS]).toBe(0);
});
