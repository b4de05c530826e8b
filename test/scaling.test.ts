/** The simulation of many threads on one epoll instance and on several: what must hold whatever the costs are. */
import { expect, test } from 'vitest';
import { alone, type Costs, simulate } from '../bench/scaling/simulate.js';

const costs: Costs = {
  enter: 190,
  scan: 90,
  listLock: 45,
  send: 80,
  away: 100,
  callback: 95,
  wake: 1200,
  wakeUp: 2500,
  read: 400,
  write: 300,
  claim: 900,
  lockHandoff: 50,
  mtxHandoff: 100,
};
const events = 2000;

test.each([1, 4, 16])('one thread, %i at a time: an event takes the sum of its steps', batch => {
  const { rate } = simulate({ costs, threads: 1, batch, handler: 700, spread: 0, events });
  const { enter, scan, listLock, send, read, write, callback, claim } = costs;
  const sum = (enter + scan + 2 * listLock) / batch + send + claim + read + 700 + write + callback;
  expect(alone(costs, batch, 700)).toBeCloseTo(sum, 6);
  expect(1e9 / rate).toBeCloseTo(sum, 0);
});

test.each([
  [1, 1],
  [4, 4],
  [16, 16],
])('no instance passes on more than ep->mtx lets through, %i at a time', batch => {
  const held = (costs.scan + 2 * costs.listLock) / batch + costs.send;
  const rates = [8, 32].map(threads => simulate({ costs, threads, batch, events }).rate);
  for (const rate of rates) expect(rate).toBeLessThanOrEqual(1e9 / held);
  // The way of the mutex and of the data between cores, for each batch and for each event, is part of it: what 32 get is what fits.
  const moved = held + costs.mtxHandoff / batch + costs.away;
  expect(rates[1]).toBeLessThan((1e9 / moved) * 1.1);
  expect(rates[1]).toBeGreaterThan((1e9 / moved) * 0.7);
});

test('where ep->mtx costs nothing, an instance passes on no more than ep->lock lets through', () => {
  const none = {
    ...costs,
    enter: 0,
    scan: 0,
    send: 0,
    away: 0,
    mtxHandoff: 0,
    claim: 0,
    read: 0,
    write: 0,
    lockHandoff: 0,
  };
  const { rate, lock } = simulate({ costs: none, threads: 16, batch: 1, events });
  expect(rate).toBeLessThanOrEqual((1e9 / (none.callback + 2 * none.listLock)) * 1.01);
  expect(lock).toBeGreaterThan(0.95);
});

test('an instance for each thread: as many times of one thread as there are', () => {
  const options = { costs, batch: 4, spread: 0, events };
  const one = simulate({ ...options, threads: 1 }).rate;
  for (const threads of [2, 8]) {
    const { rate } = simulate({ ...options, threads, instances: threads, events: events * threads });
    expect(rate / one).toBeCloseTo(threads, 1);
  }
});

test('more instances never carry less, long handlers need none, and a longer way between cores costs', () => {
  const rateOf = (instances: number, handler: number, far = 1): number =>
    simulate({ costs, threads: 16, instances, batch: 1, handler, far, events }).rate;
  const rates = [1, 2, 4, 16].map(instances => rateOf(instances, 0));
  expect(rates).toEqual([...rates].sort((a, b) => a - b));
  expect(rateOf(1, 0)).toBeLessThan(0.4 * rateOf(16, 0));
  expect(rateOf(1, 100_000)).toBeGreaterThan(0.98 * rateOf(16, 100_000));
  expect(rateOf(1, 0, 3)).toBeLessThan(0.8 * rateOf(1, 0));
});

test('events from elsewhere: all of them are passed on, and wait longer where the threads are divided', () => {
  const arrivals = (0.7 * 8 * 1e9) / alone(costs, 1, 119_000);
  const handler = (random: () => number): number => (random() < 0.05 ? 2_000_000 : 20_000);
  const late = (instances: number): number => {
    const { rate, waits } = simulate({ costs, threads: 8, instances, batch: 1, handler, arrivals, events: 6000 });
    expect(rate / arrivals).toBeGreaterThan(0.85);
    expect(rate / arrivals).toBeLessThan(1.15);
    expect(waits).toHaveLength(6000);
    expect(waits.at(0)).toBeGreaterThan(0);
    return waits.at(Math.floor(0.99 * waits.length)) ?? 0;
  };
  expect(late(8)).toBeGreaterThan(2 * late(1));
});

test('the same seed, the same result; another, another', () => {
  const run = (seed: number): unknown =>
    simulate({ costs, threads: 5, instances: 2, batch: 3, handler: 900, seed, events });
  expect(run(7)).toEqual(run(7));
  expect(run(8)).not.toEqual(run(7));
});
