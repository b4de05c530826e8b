/**
 * Who looks after a thread that gets stuck with more in hand: every interleaving of a thread that gets something to do, and of others
 * that have just looked after their peers and go to sleep for long (WaitLoop.#watch, #block, #leavesWatch and #callForWatch).
 */
import { expect, test } from 'vitest';
import { interleavings, type Program } from './model/atomics.js';
import { explore, Failure, type Verdict } from './model/explore.js';

const IDLE = 0;
/** 1: somebody has looked a moment ago. */
const WATCHED = 1;
/** 1: the one that may get stuck has more in hand. */
const LADEN = 2;
/** A sleeper is called. */
const CALL = 3;

const BRIEF = 1;
const LONG = 2;

/** Orders that the code must not have. */
interface Weakness {
  /** Who goes to sleep lets the others believe that it still looks after them. */
  readonly keepsWatch?: boolean;
  /** It looks at them before it says that it does no longer. */
  readonly looksFirst?: boolean;
  /** It does not look at them any more. */
  readonly neverLooks?: boolean;
  /** It counts itself among the sleepers at the end. */
  readonly countsLate?: boolean;
  /** The one that has something calls before that can be seen. */
  readonly callsFirst?: boolean;
}

function exploreWatch(sleepers: number, weak: Weakness = {}): Verdict {
  const header = new Int32Array(4);
  const count = (): number => Atomics.add(header, IDLE, 1);
  const call = (): void => {
    if (Atomics.load(header, WATCHED) === 0 && Atomics.load(header, IDLE) > 0) Atomics.store(header, CALL, 1);
  };
  const getsMore = (): number => {
    if (weak.callsFirst) call();
    Atomics.store(header, LADEN, 1);
    if (!weak.callsFirst) call();
    return 0;
  };
  const areLaden = (): boolean => !weak.neverLooks && Atomics.load(header, LADEN) === 1;
  const goesToSleep = (): number => {
    Atomics.store(header, WATCHED, 1);
    if (Atomics.load(header, LADEN) === 1) return BRIEF;
    if (!weak.countsLate) count();
    const wereLaden = weak.looksFirst === true && areLaden();
    if (!weak.keepsWatch) Atomics.store(header, WATCHED, 0);
    const isBrief = weak.looksFirst === true ? wereLaden : areLaden();
    if (weak.countsLate) count();
    return isBrief ? BRIEF : LONG;
  };
  const programs: Program[] = [getsMore, ...Array.from({ length: sleepers }, () => goesToSleep)];
  return explore(
    interleavings({
      memory: [header],
      programs,
      check: results => {
        if (results.includes(BRIEF) || header[CALL] === 1) return;
        throw new Failure('a thread may get stuck with more in hand, and all others sleep for long');
      },
    }),
  );
}

test.each([1, 2, 3])('%i that go to sleep', sleepers => {
  const { failure, states } = exploreWatch(sleepers);
  expect(failure).toBeUndefined();
  expect(states).toBeGreaterThan(20);
});

test.each<[string, Weakness]>([
  ['a watch that goes on in name only', { keepsWatch: true }],
  ['a last look before the watch ends', { looksFirst: true }],
  ['no last look', { neverLooks: true }],
  ['a sleeper that is not counted yet', { countsLate: true }],
  ['a call before there is anything to see', { callsFirst: true }],
])('finds %s', (_what, weak) => {
  expect(exploreWatch(1, weak).failure ?? 'nothing').toContain('sleep for long');
});
