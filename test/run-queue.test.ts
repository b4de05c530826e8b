/** The run queue: what one thread sees of it, at every size, and that many at once lose nothing. */
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { queueWords, RunQueue } from '../dist/shared/service/run-queue.js';

function make(slots: number, cursor = 0): { queue: RunQueue; words: Int32Array; header: Int32Array } {
  const words = new Int32Array(new SharedArrayBuffer(queueWords(slots) * 4));
  const header = new Int32Array(new SharedArrayBuffer(4));
  header[0] = cursor;
  return { queue: new RunQueue(words, slots, header, 0), words, header };
}

function drain(queue: RunQueue): number[] {
  const all: number[] = [];
  for (let slot = queue.pop(); slot >= 0; slot = queue.pop()) all.push(slot);
  return all;
}

/** Where a level begins another word, and around that. */
const edges = (slots: number): number[] =>
  [0, 1, 31, 32, 33, 63, 64, 1023, 1024, 1025, 32_767, 32_768, 32_769, slots - 2, slots - 1].filter(
    (slot, i, all) => slot >= 0 && slot < slots && all.indexOf(slot) === i,
  );

const SIZES = [1, 2, 31, 32, 33, 64, 65, 1000, 1023, 1024, 1025, 1056, 1057, 32_767, 32_768, 32_769, 33_000, 70_000];

test.each(SIZES)('%i slots: every slot at the edge of a word, alone and all together', slots => {
  const { queue, words } = make(slots);
  expect(queue.isEmpty).toBe(true);
  expect(queue.pop()).toBe(-1);
  for (const slot of edges(slots)) {
    queue.push(slot);
    expect(queue.isEmpty).toBe(false);
    expect(queue.pop()).toBe(slot);
    expect(queue.pop()).toBe(-1);
  }
  for (const slot of edges(slots)) queue.push(slot);
  expect(drain(queue).sort((a, b) => a - b)).toEqual(edges(slots).sort((a, b) => a - b));
  expect(words.every(word => word === 0)).toBe(true);
});

test.each(SIZES)('%i slots: from whichever place the search begins, it finds what is there', slots => {
  for (const cursor of [...edges(slots), slots]) {
    for (const slot of edges(slots)) {
      const { queue, words } = make(slots, cursor);
      queue.push(slot);
      expect(drain(queue)).toEqual([slot]);
      expect(words.every(word => word === 0)).toBe(true);
    }
  }
});

test.each([33, 1025, 70_000])('%i slots: all of them', slots => {
  const { queue, words } = make(slots);
  for (let slot = 0; slot < slots; slot++) queue.push(slot);
  const all = drain(queue);
  expect(all).toHaveLength(slots);
  expect(all.every((slot, i) => slot === i)).toBe(true);
  expect(words.every(word => word === 0)).toBe(true);
});

test('a slot is in it once, however often it is pushed', () => {
  const { queue } = make(100);
  for (let i = 0; i < 5; i++) queue.push(42);
  expect(drain(queue)).toEqual([42]);
});

test('searches go round: each begins behind what was found last, and what comes back waits for its turn', () => {
  const { queue, header } = make(2000);
  for (const slot of [5, 40, 1500]) queue.push(slot);
  expect(queue.pop()).toBe(5);
  queue.push(5);
  queue.push(6);
  expect(queue.pop()).toBe(6);
  expect(queue.pop()).toBe(40);
  queue.push(40);
  expect(queue.pop()).toBe(1500);
  expect(header[0]).toBe(1501);
  expect(queue.pop()).toBe(5);
  expect(queue.pop()).toBe(40);
  expect(queue.pop()).toBe(-1);
});

test('every slot has its turn, though some come back at once', () => {
  const { queue } = make(200);
  const counts = new Map<number, number>();
  for (let slot = 0; slot < 200; slot += 3) queue.push(slot);
  for (let i = 0; i < 670; i++) {
    const slot = queue.pop();
    counts.set(slot, (counts.get(slot) ?? 0) + 1);
    queue.push(slot);
  }
  expect(counts.size).toBe(67);
  expect(new Set(counts.values())).toEqual(new Set([10]));
});

test('mend() sets what a dead thread has left unset, at every level', () => {
  const { queue, words } = make(70_000);
  for (const slot of [3, 1030, 69_999]) {
    words[slot >>> 5] = 1 << (slot & 31);
    expect(queue.pop()).toBe(-1);
    queue.mend();
    expect(drain(queue)).toEqual([slot]);
  }
});

test.each([33, 1025, 70_000])('%i slots: a bit that is left above an empty word holds up nobody', slots => {
  for (const cursor of edges(slots)) {
    for (const left of edges(slots)) {
      const { queue, words } = make(slots, cursor);
      queue.push(left);
      words[left >>> 5] = 0; // as a thread leaves it that dies after it has taken that slot
      expect(queue.pop()).toBe(-1);
      expect(queue.isEmpty).toBe(true);
      queue.push(slots - 1);
      expect(drain(queue)).toEqual([slots - 1]);
    }
  }
});

test('4 threads push and pop at once: what is pushed is popped, by one of them', async () => {
  const SLOTS = 1500;
  const TIMES = 40;
  const module = new URL('../dist/shared/service/run-queue.js', import.meta.url).href;
  const { queue, words, header } = make(SLOTS);
  /** Of each slot: 1 while it is in the queue, or in somebody's hands; and how often it was handled. */
  const state = new Int32Array(new SharedArrayBuffer(SLOTS * 8));
  const totals = new Int32Array(new SharedArrayBuffer(16));
  const code = `
    const { workerData } = require('node:worker_threads');
    const { words, header, state, totals, pushes, index } = workerData;
    import(workerData.module).then(({ RunQueue }) => {
      const queue = new RunQueue(words, ${SLOTS}, header, 0);
      const wanted = ${SLOTS * TIMES};
      Atomics.add(totals, 2, 1);
      while (Atomics.load(totals, 2) < 4);
      let next = index * 97;
      while (Atomics.load(totals, 1) < wanted) {
        if (pushes && Atomics.load(totals, 0) < wanted) {
          // A slot that is nowhere becomes due, once.
          next = (next + 1) % ${SLOTS};
          if (Atomics.load(state, ${SLOTS} + next) < ${TIMES} && Atomics.compareExchange(state, next, 0, 1) === 0) {
            if (Atomics.load(state, ${SLOTS} + next) < ${TIMES}) {
              Atomics.add(totals, 0, 1);
              queue.push(next);
            } else Atomics.store(state, next, 0);
          }
          continue;
        }
        const slot = queue.pop();
        if (slot < 0) continue;
        Atomics.add(state, ${SLOTS} + slot, 1);
        if (Atomics.compareExchange(state, slot, 1, 0) !== 1) Atomics.add(totals, 3, 1);
        Atomics.add(totals, 1, 1);
      }
    });`;
  const workers = [true, true, false, false].map(
    (pushes, index) =>
      new Worker(code, { eval: true, workerData: { words, header, state, totals, pushes, index, module } }),
  );
  await Promise.all(
    workers.map(worker => new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject))),
  );
  expect([...totals]).toEqual([SLOTS * TIMES, SLOTS * TIMES, 4, 0]);
  expect(new Set(state.subarray(SLOTS))).toEqual(new Set([TIMES]));
  // A bit above an empty word may be left: the next who looks takes it away.
  expect(queue.pop()).toBe(-1);
  expect(words.every(word => word === 0)).toBe(true);
});
