/**
 * A server whose threads all have as many promises pending as may be: every interleaving of the shipped Parking, of a thread that
 * parks a connection, and of others that become full, or have room again. Nobody may be left parked while somebody has room, and
 * nobody may be left to run nothing while all are full.
 */
import { expect, test } from 'vitest';
import { IS_FULL, type ServerMemory } from '../dist/shared/server/layout.js';
import { Parking } from '../dist/worker/server/parking.js';
import { interleavings, type Program } from './model/atomics.js';
import { explore, Failure, type Verdict } from './model/explore.js';

const SUSPENDED = 1;
const GOES_ON = 2;

interface Made {
  readonly memory: Int32Array[];
  readonly threads: readonly Parking[];
  /** How often a parked connection was woken. */
  readonly woken: Int32Array;
  isFull(thread: number): boolean;
  readonly parked: Int32Array;
}

function make(full: readonly boolean[], wakes: (slot: number) => boolean = () => true): Made {
  const header = new Int32Array(16);
  const parked = new Int32Array(1);
  const first = new Int32Array(1);
  const woken = new Int32Array(4);
  const threads = full.map(isFull => {
    const own = new Int32Array(8);
    own[IS_FULL] = isFull ? 1 : 0;
    return { words: own, counts: new Float64Array(8) };
  });
  const none = new Int32Array(0);
  const words = new Int32Array(4 * 24);
  const memory: ServerMemory = { header, words, dirty: none, parked, first, slotOfFd: none, threads, slots: 4 };
  const wake = (slot: number): boolean => {
    Atomics.add(woken, slot, 1);
    return wakes(slot);
  };
  return {
    memory: [header, words, parked, first, woken, ...threads.map(({ words }) => words)],
    threads: threads.map((_, index) => new Parking(memory, index, wake)),
    woken,
    isFull: thread => threads[thread]?.words[IS_FULL] === 1,
    parked,
  };
}

const parks =
  (parking: Parking | undefined, slot: number, weak = false): Program =>
  () => {
    if (weak) parking?.admit();
    parking?.park(slot, false);
    if (!weak) parking?.admit();
    return 0;
  };

const settles =
  (parking: Parking | undefined, weak = false): Program =>
  () => {
    if (weak) parking?.admit();
    parking?.emptied();
    if (!weak) parking?.admit();
    return 0;
  };

/** One is woken at a time: its run is followed by the next one's, so it is enough that one was. */
function exploreParked(
  programs: (made: Made) => Program[],
  threads: number,
  wakes?: (slot: number) => boolean,
): Verdict {
  const made = make(
    Array.from({ length: threads }, () => true),
    wakes,
  );
  return explore(
    interleavings({
      memory: made.memory,
      programs: programs(made),
      check: () => {
        const hasRoom = Array.from({ length: threads }, (_, i) => i).some(i => !made.isFull(i));
        const isOnItsWay = made.woken.some((count, slot) => count > 0 && (wakes?.(slot) ?? true));
        if (hasRoom && made.parked[0] !== 0 && !isOnItsWay) throw new Failure('parked, and forgotten');
        if (!hasRoom && made.parked[0] === 0) throw new Failure('woken in vain');
      },
    }),
  );
}

test.each<[string, (made: Made) => Program[], number]>([
  ['one thread parks, another has room', ({ threads: [a, b] }) => [parks(a, 0), settles(b)], 2],
  ['two park, and one of them has room', ({ threads: [a, b] }) => [parks(a, 0), () => parks(b, 1)() + settles(b)()], 2],
  ['one parks, two have room', ({ threads: [a, b, c] }) => [parks(a, 0), settles(b), settles(c)], 3],
])('%s', (_what, programs, threads) => {
  const { failure, states } = exploreParked(programs, threads);
  expect(failure).toBeUndefined();
  expect(states).toBeGreaterThan(20);
});

test('a slot that was used again does not keep the next one back', () => {
  const programs = ({ threads: [a, b] }: Made): Program[] => [() => parks(a, 0)() + parks(a, 1)(), settles(b)];
  expect(exploreParked(programs, 2, slot => slot !== 0).failure).toBeUndefined();
});

test('one that has room, and is full again at once', () => {
  const programs = ({ threads: [a, b] }: Made): Program[] => [
    parks(a, 0),
    () => {
      b?.emptied();
      b?.admit();
      b?.filled();
      return 0;
    },
  ];
  const made = make([true, true]);
  const { failure } = explore(
    interleavings({
      memory: made.memory,
      programs: programs(made),
      check: () => {
        // Either somebody has it in hand, or it is parked where all are full.
        if (made.parked[0] === 0 && made.woken[0] === 0) throw new Failure('gone');
      },
    }),
  );
  expect(failure).toBeUndefined();
});

test.each<[string, (made: Made) => Program[]]>([
  ['a look at the others before the slot is parked', ({ threads: [a, b] }) => [parks(a, 0, true), settles(b)]],
  ['a look at the parked before there is room', ({ threads: [a, b] }) => [parks(a, 0), settles(b, true)]],
])('finds %s', (_what, programs) => {
  expect(exploreParked(programs, 2).failure ?? 'nothing').toContain('forgotten');
});

// ---- whose turn it is ----------------------------------------------------------------------------------------

test('one after the other; whose turn was in vain is first', () => {
  const order: number[] = [];
  const made = make([false], slot => order.push(slot) > 0);
  const [parking] = made.threads;
  for (const slot of [2, 0, 3, 1]) parking?.park(slot, false);
  for (let i = 0; i < 3; i++) parking?.admit();
  // The first one comes again, and another one that has found no room.
  parking?.park(0, false);
  parking?.park(2, true);
  for (let i = 0; i < 4; i++) parking?.admit();
  expect(order).toEqual([0, 1, 2, 2, 3, 0]);
  expect(parking?.isEmpty).toBe(true);
});

// ---- who goes on ---------------------------------------------------------------------------------------------

const fills =
  (parking: Parking | undefined, weak = false): Program =>
  () => {
    const before = weak && parking?.areAllFull === true;
    parking?.filled();
    return weak ? (before ? GOES_ON : SUSPENDED) : parking?.areAllFull === true ? GOES_ON : SUSPENDED;
  };

function exploreFilled(threads: number, weak = false): Verdict {
  const made = make(Array.from({ length: threads }, () => false));
  return explore(
    interleavings({
      memory: made.memory,
      programs: made.threads.map(parking => fills(parking, weak)),
      check: results => {
        if (!results.includes(GOES_ON)) throw new Failure('all are full, and all are suspended');
      },
    }),
  );
}

test.each([1, 2, 3])('%i that become full: one goes on at least', threads => {
  expect(exploreFilled(threads).failure).toBeUndefined();
});

test('finds a look at the others before it is full itself', () => {
  expect(exploreFilled(2, true).failure ?? 'nothing').toContain('all are suspended');
});
