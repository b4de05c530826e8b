/** The claim word's operations on shared memory, where the model of their interleavings does not reach: masks, bits, and races by hand. */
import { expect, test } from 'vitest';
import * as claim from '../dist/shared/service/claim.js';
import { CLAIM, INTEREST, SLOT_WORDS, STAMP } from '../dist/shared/service/layout.js';

const IN = 0x1;
const PRI = 0x2;
const OUT = 0x4;
const HUP = 0x10;
const RDHUP = 0x2000;
const ONESHOT = 0x4000_0000;
const EDGE = 0x8000_0000;
const ALL = 0x27df;
const OWNER = 7;

/** One slot, idle. */
function slot(interest = IN, stamp = 5): Int32Array {
  const words = new Int32Array(SLOT_WORDS);
  words[STAMP] = stamp;
  words[INTEREST] = interest | 0;
  words[CLAIM] = claim.idleWord(stamp);
  return words;
}

const wordOf = (words: Int32Array): number => words[CLAIM] ?? 0;

/** Calls `meanwhile` once, right before the next compare-and-exchange: what another thread does between two instructions. */
function interrupted<T>(meanwhile: () => void, call: () => T): T {
  const { compareExchange } = Atomics;
  const replaced = {
    value: (words: Int32Array, at: number, expected: number, next: number): number => {
      Object.defineProperty(Atomics, 'compareExchange', { value: compareExchange, configurable: true, writable: true });
      meanwhile();
      return compareExchange(words, at, expected, next);
    },
    configurable: true,
    writable: true,
  };
  Object.defineProperty(Atomics, 'compareExchange', replaced);
  try {
    return call();
  } finally {
    Object.defineProperty(Atomics, 'compareExchange', { value: compareExchange, configurable: true, writable: true });
  }
}

test.each([1, 2, 127, 128, 254, 255, 256, 257, 0x7fff_ffff, -1, -0x8000_0000])(
  'stamp %i: the word has its low bits',
  stamp => {
    const word = claim.idleWord(stamp);
    expect(claim.hasStamp(word, stamp)).toBe(true);
    expect(claim.hasStamp(word, stamp + 1)).toBe(false);
    expect(claim.hasStamp(word, stamp + 256)).toBe(true);
    expect([claim.ownerOf(word), claim.dueOf(word), claim.isClosing(word), claim.isResting(word)]).toEqual([
      0,
      0,
      false,
      false,
    ]);
    expect(claim.hasStamp(claim.freeWord(stamp), stamp)).toBe(true);
    expect(claim.isClosing(claim.freeWord(stamp))).toBe(true);
  },
);

test.each([1, 2, 127, 128, 254, claim.MAIN])('owner %i is told from every other, whatever the stamp', owner => {
  for (const stamp of [1, 128, 255]) {
    const word = claim.claimed(claim.left(claim.idleWord(stamp), ALL), owner, false);
    expect(claim.ownerOf(word)).toBe(owner);
    expect(claim.dueOf(word)).toBe(0);
    expect(claim.hasStamp(word, stamp)).toBe(true);
    expect(claim.released(word, false)).toBe(claim.idleWord(stamp));
  }
});

test('a mask touches none of the flags, nor they the mask', () => {
  const word = claim.left(claim.idleWord(3), 0xffff_ffff | 0);
  expect(claim.dueOf(word)).toBe(ALL);
  expect([claim.isClosing(word), claim.isResting(word), claim.isAsked(word), claim.ownerOf(word)]).toEqual([
    false,
    false,
    false,
    0,
  ]);
  const flagged = claim.closing(claim.asked(claim.claimed(claim.idleWord(3), OWNER, false)));
  expect([claim.isClosing(flagged), claim.isResting(flagged), claim.isAsked(flagged)]).toEqual([true, true, true]);
  expect(claim.dueOf(flagged)).toBe(0);
});

test('arrive: an idle slot is taken with the mask; a held one is left what comes, all of it', () => {
  const words = slot();
  expect(claim.arrive(words, 0, 5, OWNER, IN | HUP, false)).toBe(IN | HUP);
  expect(claim.ownerOf(wordOf(words))).toBe(OWNER);
  expect(claim.arrive(words, 0, 5, 8, PRI, false)).toBe(claim.CONTENDED);
  expect(claim.arrive(words, 0, 5, 9, RDHUP, false)).toBe(claim.CONTENDED);
  expect(claim.arrive(words, 0, 5, 9, RDHUP, false)).toBe(claim.CONTENDED);
  expect(claim.dueOf(wordOf(words))).toBe(PRI | RDHUP);
  expect(claim.release(words, 0, false)).toBe(claim.STILL_DUE);
  expect(claim.dueOf(wordOf(words))).toBe(PRI | RDHUP | claim.LOOK);
});

test('arrive: what is due already stays in the word, with the event, for whoever takes it', () => {
  const words = slot();
  expect(claim.leave(words, 0, 5, OUT, false)).toBe(claim.LEFT_DUE);
  expect(claim.wake(words, 0)).toBe(wordOf(words));
  expect(claim.arrive(words, 0, 5, OWNER, IN, false)).toBe(claim.LEFT_DUE);
  expect(claim.arrive(words, 0, 5, OWNER, IN, false)).toBe(claim.KNOWN);
  expect([claim.ownerOf(wordOf(words)), claim.dueOf(wordOf(words))]).toEqual([0, IN | OUT | claim.WAKE]);
});

test('where the kernel goes on telling, nothing is left with an owner', () => {
  const words = slot();
  expect(claim.arrive(words, 0, 5, OWNER, IN, true)).toBe(IN);
  const held = wordOf(words);
  expect(claim.arrive(words, 0, 5, 8, HUP, true)).toBe(claim.CONTENDED);
  expect(claim.leave(words, 0, 5, HUP, true)).toBe(claim.CONTENDED);
  expect(claim.reserve(words, 0, 5, claim.MAIN, HUP, true)).toBe(claim.CONTENDED);
  expect(wordOf(words)).toBe(held);
});

test.each([
  ['arrive', (words: Int32Array, stamp: number) => claim.arrive(words, 0, stamp, OWNER, IN, false)],
  ['leave', (words: Int32Array, stamp: number) => claim.leave(words, 0, stamp, IN, false)],
  ['reserve', (words: Int32Array, stamp: number) => claim.reserve(words, 0, stamp, claim.MAIN, IN, false)],
] as const)('%s: another stamp, a free slot, one that is closing or rests: nothing changes', (_, call) => {
  const before: Array<[Int32Array, number, number]> = [
    [slot(), 4, claim.STALE],
    [slot(), 5 + 256, claim.STALE],
    [slot().fill(claim.freeWord(5), CLAIM, CLAIM + 1), 5, claim.STALE],
    [slot().fill(claim.closing(claim.claimed(claim.idleWord(5), 8, false)), CLAIM, CLAIM + 1), 5, claim.STALE],
    [slot().fill(claim.rested(claim.idleWord(5)), CLAIM, CLAIM + 1), 5, claim.RESTING],
    [slot().fill(claim.asked(claim.claimed(claim.idleWord(5), 8, false)), CLAIM, CLAIM + 1), 5, claim.RESTING],
  ];
  for (const [words, stamp, verdict] of before) {
    const word = wordOf(words);
    expect(call(words, stamp)).toBe(verdict);
    expect(wordOf(words)).toBe(word);
  }
});

test('arrive: a slot that is modified between the look and the exchange is stale', () => {
  const words = slot();
  const verdict = interrupted(
    () => {
      words[STAMP] = 6;
      claim.renew(words, 0, 6);
    },
    () => claim.arrive(words, 0, 5, OWNER, IN, false),
  );
  expect(verdict).toBe(claim.STALE);
  expect(wordOf(words)).toBe(claim.idleWord(6));
});

test('arrive: what becomes due between the look and the exchange is not taken along', () => {
  const words = slot();
  const verdict = interrupted(
    () => claim.wake(words, 0),
    () => claim.arrive(words, 0, 5, OWNER, IN, false),
  );
  expect(verdict).toBe(claim.LEFT_DUE);
  expect([claim.ownerOf(wordOf(words)), claim.dueOf(wordOf(words))]).toEqual([0, IN | claim.WAKE]);
});

test('release: what comes between the look and the exchange stays due', () => {
  const words = slot(IN | EDGE);
  claim.arrive(words, 0, 5, OWNER, IN, false);
  const verdict = interrupted(
    () => claim.arrive(words, 0, 5, 8, HUP, false),
    () => claim.release(words, 0, false),
  );
  expect(verdict).toBe(claim.STILL_DUE);
  expect(claim.dueOf(wordOf(words))).toBe(HUP | claim.LOOK);
});

test('a oneshot rests from its claim on; a wake() then is none', () => {
  const words = slot(IN | ONESHOT);
  expect(claim.arrive(words, 0, 5, OWNER, IN, false)).toBe(IN);
  expect(claim.isResting(wordOf(words))).toBe(true);
  claim.wake(words, 0);
  expect(claim.release(words, 0, false)).toBe(claim.IDLE);
  expect(claim.arrive(words, 0, 5, OWNER, IN, false)).toBe(claim.RESTING);
  claim.wake(words, 0);
  expect(claim.dueOf(wordOf(words))).toBe(0);
  expect(claim.isDue(claim.renew(words, 0, 6))).toBe(false);
  expect(claim.isResting(wordOf(words))).toBe(false);
});

test('what the main thread takes of a oneshot lets it rest, though it was modified since', () => {
  const words = slot(IN | ONESHOT);
  expect(claim.reserve(words, 0, 5, claim.MAIN, IN, false)).toBe(0);
  words[STAMP] = 6;
  claim.renew(words, 0, 6);
  expect(claim.takeOwn(words, 0, true)).toBe(0);
  expect(claim.isResting(wordOf(words))).toBe(false);
  expect(claim.leave(words, 0, 6, HUP, false)).toBe(claim.CONTENDED);
  expect(claim.takeOwn(words, 0, true)).toBe(HUP);
  expect(claim.release(words, 0, false)).toBe(claim.IDLE);
  expect(claim.isResting(wordOf(words))).toBe(true);
});

test('close: free at once where nobody, or the main thread, has it; else the owner tells', () => {
  const idle = slot();
  expect(claim.close(idle, 0, 6)).toBe(claim.FREED);
  expect(wordOf(idle)).toBe(claim.freeWord(6));
  const mains = slot();
  claim.reserve(mains, 0, 5, claim.MAIN, IN, false);
  expect(claim.close(mains, 0, 6)).toBe(claim.FREED);
  const held = slot();
  claim.arrive(held, 0, 5, OWNER, IN, false);
  expect(claim.close(held, 0, 6)).toBe(claim.HELD);
  expect(claim.arrive(held, 0, 5, 8, IN, false)).toBe(claim.STALE);
  expect(claim.giveBack(held, 0, claim.WAKE)).toBe(claim.TO_TELL);
  expect(claim.dueOf(wordOf(held))).toBe(0);
});

test('giveBack: as it was, with what was due; a oneshot does not rest for it', () => {
  const words = slot(IN | ONESHOT);
  claim.arrive(words, 0, 5, OWNER, IN, false);
  expect(claim.giveBack(words, 0, 0)).toBe(claim.IDLE);
  expect(wordOf(words)).toBe(claim.idleWord(5));
  claim.arrive(words, 0, 5, OWNER, IN, false);
  expect(claim.giveBack(words, 0, claim.WAKE)).toBe(claim.STILL_DUE);
});

test.each([
  ['not begun', { rests: false, due: IN }],
  ['running', { rests: true, due: 0 }],
  ['over', { rests: true, due: 0 }],
] as const)('abandon of a oneshot, %s', (progress, { rests, due }) => {
  const words = slot(IN | ONESHOT);
  claim.arrive(words, 0, 5, OWNER, IN, false);
  expect(claim.abandon(words, 0, 8, progress, IN)).toBe(false);
  expect(claim.abandon(words, 0, OWNER, progress, IN)).toBe(true);
  expect([claim.ownerOf(wordOf(words)), claim.isResting(wordOf(words)), claim.dueOf(wordOf(words))]).toEqual([
    0,
    rests,
    due,
  ]);
});

test('abandon: a request of a run that is over stays; of one that was interrupted it does not', () => {
  for (const [progress, isAsked] of [
    ['over', true],
    ['not begun', true],
    ['running', false],
  ] as const) {
    const words = slot();
    claim.arrive(words, 0, 5, OWNER, IN, false);
    claim.ask(words, 0);
    claim.abandon(words, 0, OWNER, progress, 0);
    expect([claim.isAsked(wordOf(words)), claim.isResting(wordOf(words))]).toEqual([isAsked, true]);
  }
});

test.each([
  [IN, true],
  [0, true],
  [IN | EDGE, false],
  [IN | ONESHOT, false],
  [IN | EDGE | ONESHOT, false],
])('interest %i: level is %s', (interest, isLevel) => {
  expect(claim.isLevel(interest)).toBe(isLevel);
  expect(claim.isLevel(interest | 0)).toBe(isLevel);
});
