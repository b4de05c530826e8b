/** Who gets the next event: what follows from how long runs take. */
import { expect, test } from 'vitest';
// The built package has it only within the thread's bundle.
import { Pace } from '../src/worker/service/pace.js';

const make = (most = 64, threads = 2): Pace => new Pace(most, threads, false);

test('before anything has run: one at a time, and not slow', () => {
  const pace = make();
  expect(pace).toMatchObject({ share: 1, isSlow: false });
});

test('short runs: what one thread takes doubles, up to what fits into 100 µs', () => {
  const pace = make();
  const shares: number[] = [];
  for (let i = 0; i < 8; i++) {
    pace.measured(0.004 * pace.share, pace.share);
    shares.push(pace.share);
  }
  expect(shares).toEqual([2, 4, 8, 16, 25, 25, 25, 25]);
  expect(pace).toMatchObject({ share: 25, isSlow: false });
});

test('it never takes more than allowed, nor less than one', () => {
  const pace = make(4);
  for (let i = 0; i < 8; i++) pace.measured(0.000_001, 1);
  expect(pace.share).toBe(4);
  pace.measured(50, 1);
  expect(pace.share).toBe(1);
});

test('runs of no measurable time are no division by zero', () => {
  const pace = make();
  for (let i = 0; i < 10; i++) pace.measured(0, 5);
  expect(pace).toMatchObject({ share: 64, isSlow: false });
});

test('one slow run: one at a time from now on', () => {
  const pace = make();
  for (let i = 0; i < 8; i++) pace.measured(0.004, 1);
  pace.measured(5, 1);
  expect(pace).toMatchObject({ share: 1, isSlow: true });
});

test('a slow run is forgotten slowly', () => {
  const pace = make();
  pace.measured(5, 1);
  let runs = 0;
  while (pace.isSlow && runs < 1000) {
    pace.measured(0.01, 1);
    runs++;
  }
  // 5 ms * (15/16)^n comes below 0.1 ms.
  expect(runs).toBeGreaterThan(50);
  expect(runs).toBeLessThan(100);
});

test('several runs count with what one of them took', () => {
  const pace = make();
  pace.measured(0.3, 10);
  expect(pace.isSlow).toBe(false);
  pace.measured(2, 10);
  expect(pace.isSlow).toBe(true);
});

test('where nothing is run here: always as many as allowed', () => {
  const pace = new Pace(64, 2, true);
  pace.measured(5000, 1);
  expect(pace).toMatchObject({ share: 64, isSlow: false });
});

test('it looks once where it knows nothing, where runs are slow, and where nobody else is there', () => {
  const pace = make();
  expect(pace.looks(true)).toBe(1);
  pace.measured(0.01, 1);
  for (let i = 0; i < 40; i++) expect(pace.looks(false)).toBe(1);
  pace.measured(5, 1);
  for (let i = 0; i < 40; i++) expect(pace.looks(true)).toBe(1);
});

test('it tries now and then whether looking again pays, and does it for as long as it does', () => {
  const pace = make();
  pace.measured(0.01, 1);
  const first = Array.from({ length: 32 }, () => pace.looks(true));
  expect(first.filter(looks => looks === 4)).toHaveLength(2);
  expect(first[15]).toBe(4);
  pace.looked(true);
  // One that finds something makes up for two that do not.
  expect(pace.looks(true)).toBe(4);
  pace.looked(false);
  expect(pace.looks(true)).toBe(4);
  pace.looked(false);
  expect(pace.looks(true)).toBe(1);
});

test('what it was good for is remembered so far, and no further', () => {
  const pace = make();
  pace.measured(0.01, 1);
  for (let i = 0; i < 1000; i++) pace.looked(true);
  let looks = 0;
  while (pace.looks(true) === 4 && looks < 1000) {
    pace.looked(false);
    looks++;
  }
  expect(looks).toBe(16);
});

test('a thread is behind after a millisecond with what it had', () => {
  const pace = make();
  expect([pace.isBehind(0.9), pace.isBehind(1), pace.isBehind(1.1)]).toEqual([false, false, true]);
});

test.each([
  [1, 500],
  [2, 500],
  [4, 250],
  [16, 62],
  [50, 20],
  [200, 20],
])('%i threads wait %i ms at most, and one where a peer may need them', (threads, slice) => {
  const pace = make(64, threads);
  expect(pace.slice(Number.POSITIVE_INFINITY)).toBe(slice);
  expect(pace.slice(10)).toBe(slice);
  expect(pace.slice(9.9)).toBe(1);
});

test('where runs are slow, the run queue has its turn when the kernel has nothing, and every sixteenth time', () => {
  const pace = new Pace(64, 2, false);
  expect([true, true, false].map(hasFetched => pace.takesShared(hasFetched))).toEqual([true, true, true]);
  pace.measured(20, 1);
  const turns = Array.from({ length: 32 }, () => pace.takesShared(true));
  expect(turns.filter(Boolean)).toHaveLength(2);
  expect(pace.takesShared(true)).toBe(false);
  expect(pace.takesShared(false)).toBe(true);
});

test('what could not be run sixteen times in a row comes first, for once', () => {
  const pace = make();
  for (let i = 0; i < 15; i++) pace.passedOver(true);
  expect(pace.isOverdue).toBe(false);
  pace.passedOver(true);
  expect(pace.isOverdue).toBe(true);
  pace.passedOver(false);
  expect(pace.isOverdue).toBe(false);
});
