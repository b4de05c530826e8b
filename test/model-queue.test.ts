/**
 * The run queue, and how a thread goes to sleep over it: every interleaving of the atomic operations of the code as it ships, and of
 * the same with one line weakened. EPOLL_POOL_DEEP=1 goes deeper.
 *
 * @module-tag slow
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import * as shipped from '../dist/shared/service/run-queue.js';
import { interleavings, type Program } from './model/atomics.js';
import { explore, Failure, type Verdict } from './model/explore.js';

const isDeep = process.env.EPOLL_POOL_DEEP === '1';

type Queues = typeof shipped;
type Queue = InstanceType<Queues['RunQueue']>;

const SOURCE = fileURLToPath(new URL('../dist/shared/service/run-queue.js', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'run-queue-'));
let copies = 0;
afterAll(() => rmSync(directory, { recursive: true }));

/** The shipped module with `from` replaced. */
async function weakened(from: string, to: string): Promise<Queues> {
  const source = readFileSync(SOURCE, 'utf8');
  expect(source.split(from)).toHaveLength(2);
  const copy = join(directory, `${copies++}.mjs`);
  writeFileSync(copy, source.replace(from, to).replace(/^\/\/# sourceMappingURL=.*$/m, ''));
  return await import(/* @vite-ignore */ pathToFileURL(copy).href);
}

// ---- the queue ----------------------------------------------------------------------------------------------

interface Setup {
  readonly slots: number;
  /** Slots that are there from the start. */
  readonly first?: readonly number[];
  /** What each thread does: pushes these one after the other, or pops once (`pop`). */
  readonly threads: ReadonlyArray<readonly number[] | 'pop'>;
  readonly deaths?: number;
  /** Where the first search begins. */
  readonly cursor?: number;
}

function exploreQueue(
  { RunQueue, queueWords }: Queues,
  { slots, first = [], threads, deaths = 0, cursor = 0 }: Setup,
): Verdict {
  const words = new Int32Array(queueWords(slots));
  const header = new Int32Array([cursor]);
  const make = (): Queue => new RunQueue(words, slots, header, 0);
  for (const slot of first) make().push(slot);
  const programs = threads.map((what): Program => {
    if (what === 'pop') return () => make().pop();
    return () => {
      for (const slot of what) make().push(slot);
      return -2;
    };
  });
  return explore(
    interleavings({
      memory: [words, header],
      programs,
      deaths,
      check: results => {
        const queue = make();
        // Of a dead thread, the registry sees to what it had taken, by the claim words; and it mends the bits.
        const isDead = results.includes(undefined);
        if (isDead) queue.mend();
        const popped = results.filter(slot => slot !== undefined && slot >= 0);
        if (new Set(popped).size < popped.length) throw new Failure('one slot is popped twice');
        const left: number[] = [];
        for (let slot = queue.pop(); slot >= 0; slot = queue.pop()) left.push(slot);
        const leaves = words.subarray(0, Math.ceil(slots / 32));
        if (leaves.some(word => word !== 0)) throw new Failure('a slot is in the queue, and nobody finds it');
        if (words.some(word => word !== 0)) throw new Failure('a bit is left above an empty word');
        const all = new Set([...first, ...threads.flatMap(what => (what === 'pop' ? [] : what))]);
        if (!isDead && new Set([...popped, ...left]).size !== all.size) throw new Failure('a slot is lost');
        if (
          !isDead &&
          results.some((slot, i) => slot === -1 && threads[i] === 'pop') &&
          left.some(slot => first.includes(slot))
        ) {
          // There was one for each of them, all the time.
          throw new Failure('a pop finds nothing, though there always was something');
        }
      },
    }),
  );
}

const setups: ReadonlyArray<readonly [string, Setup]> = [
  ['a push and two pops of one word', { slots: 64, first: [3], threads: [[4], 'pop', 'pop'] }],
  ['pushes to two words', { slots: 64, threads: [[3], [40], 'pop'] }],
  ['a push beside two pops, two words', { slots: 64, first: [3, 40], threads: [[5], 'pop', 'pop'] }],
  ['the same slot, again and again', { slots: 64, first: [3], threads: [[3, 3], 'pop'] }],
  ['three levels', { slots: 1100, first: [3], threads: [[4], 'pop'] }],
  ['three levels, far apart', { slots: 1100, first: [1060], threads: [[3], 'pop'], cursor: 1000 }],
  ['three levels, two pops', { slots: 1100, first: [3], threads: [[1061], 'pop', 'pop'] }],
  ['a death', { slots: 64, first: [3], threads: [[4], 'pop'], deaths: 1 }],
  ['a death beside another pop', { slots: 64, first: [3], threads: ['pop', 'pop'], deaths: 1 }],
  ['a death beside another pop, three levels', { slots: 1100, first: [3], threads: ['pop', 'pop'], deaths: 1 }],
  ['two deaths, three levels', { slots: 1100, first: [3], threads: [[4], 'pop'], deaths: 2 }],
];
const deep: typeof setups = [
  ['two pushes and two pops of one word', { slots: 64, first: [3], threads: [[4], [5], 'pop', 'pop'] }],
  ['three levels, a push and two pops, a death', { slots: 1100, first: [3], threads: [[4], 'pop', 'pop'], deaths: 1 }],
];
for (const [name, setup] of isDeep ? [...setups, ...deep] : setups) {
  test(`queue: ${name}`, () => {
    const { failure, states } = exploreQueue(shipped, setup);
    expect(failure).toBeUndefined();
    expect(states).toBeGreaterThan(50);
  }, 600_000);
}

const weaker: ReadonlyArray<readonly [string, string, string, Setup, string]> = [
  [
    'a clear that does not look again',
    'if (Atomics.load(words, here) !== 0) {',
    'if (false) {',
    { slots: 64, first: [3], threads: [[4], 'pop'] },
    'nobody finds it',
  ],
  [
    'a look again before the bit goes',
    'const before = Atomics.and(words, above, ~bit);',
    'if (Atomics.load(words, here) !== 0) return; const before = Atomics.and(words, above, ~bit); if (before !== bit) return; at >>>= BITS; continue;',
    { slots: 64, first: [3], threads: [[4], 'pop'] },
    'nobody finds it',
  ],
  [
    'a push that sets the bit above first',
    'Atomics.or(this.#words, slot >>> BITS, 1 << (slot & WITHIN));\n        this.#announce(0, slot >>> BITS);',
    'this.#announce(0, slot >>> BITS);\n        Atomics.or(this.#words, slot >>> BITS, 1 << (slot & WITHIN));',
    { slots: 64, first: [3], threads: [[4], 'pop'] },
    'nobody finds it',
  ],
  [
    'a pop that does not ask whether the bit was its own',
    'if ((before & bit) === 0)\n            return false;',
    '',
    { slots: 64, first: [3], threads: ['pop', 'pop'] },
    'popped twice',
  ],
  [
    'an announcement of one level',
    'for (let above = level + 1; above < this.#levels.length; above++) {',
    'for (let above = level + 1; above < level + 2 && above < this.#levels.length; above++) {',
    { slots: 1100, first: [3], threads: [[4], 'pop'] },
    'nobody finds it',
  ],
  [
    'a search that passes by a bit above the first word',
    'if (word === 0 && this.#isAnnounced(level, index))',
    'if (false)',
    { slots: 64, first: [3], threads: ['pop', 'pop'], deaths: 1 },
    'round in circles',
  ],
  [
    'a dead thread whose bits are not mended',
    'this.#announce(0, word);\n    }',
    ';\n    }',
    { slots: 64, first: [3], threads: [[4], 'pop'], deaths: 1 },
    'nobody finds it',
  ],
];
for (const [name, from, to, setup, failure] of weaker) {
  test(`finds ${name}`, async () => {
    expect(exploreQueue(await weakened(from, to), setup).failure ?? 'nothing').toContain(failure);
  });
}

// ---- sleep --------------------------------------------------------------------------------------------------

/** Orders that the code must not have. */
interface Weakness {
  /** A thread looks at the queue before it counts itself among the sleepers. */
  readonly looksFirst?: boolean;
  /** Whoever shares looks for sleepers before it fills the queue. */
  readonly kicksFirst?: boolean;
  /** Who takes one of several wakes nobody for the rest. */
  readonly noChain?: boolean;
  /** A thread that was woken has something else to do first, and does not pass the call on. */
  readonly keepsCall?: boolean;
  /** A thread that was called looks at the queue before it lets others call again. */
  readonly comesLate?: boolean;
  /** It never lets them. */
  readonly neverComes?: boolean;
}

const IDLE = 1;
/** What the eventfd has for whoever waits. */
const CALL = 2;
const CALLED = 3;
const ASLEEP = 1;
const RUNS = 2;

type Role =
  | 'shares 3'
  | 'shares 4'
  | 'shares 40'
  | 'goes to sleep'
  | 'looks'
  | 'sleeps'
  | 'sleeps, has other work'
  | 'takes';

/** Waking.kick and came, WaitLoop.#block, #look and #takeShared. The eventfd is one word: each write wakes one, several before that are one. */
function exploreSleep(roles: readonly Role[], first: readonly number[], weak: Weakness = {}): Verdict {
  const slots = 64;
  const words = new Int32Array(shipped.queueWords(slots));
  const header = new Int32Array(4);
  const make = (): Queue => new shipped.RunQueue(words, slots, header, 0);
  for (const slot of first) make().push(slot);
  header[IDLE] = roles.filter(role => role.startsWith('sleeps')).length;
  const kick = (): void => {
    if (Atomics.load(header, IDLE) > 0 && Atomics.exchange(header, CALLED, 1) === 0) Atomics.store(header, CALL, 1);
  };
  const came = (): void => {
    if (!weak.neverComes && Atomics.load(header, CALLED) !== 0) Atomics.store(header, CALLED, 0);
  };
  const takes = (): number => {
    const queue = make();
    queue.pop();
    if (!weak.noChain && !queue.isEmpty) kick();
    return RUNS;
  };
  const share = (slot: number): number => {
    if (weak.kicksFirst) kick();
    make().push(slot);
    if (!weak.kicksFirst) kick();
    return 0;
  };
  const goToSleep = (): number => {
    if (weak.looksFirst) {
      const isEmpty = make().isEmpty;
      Atomics.add(header, IDLE, 1);
      if (isEmpty) return ASLEEP;
    } else {
      Atomics.add(header, IDLE, 1);
      if (make().isEmpty) return ASLEEP;
    }
    Atomics.sub(header, IDLE, 1);
    return takes();
  };
  const sleep = (hasOtherWork: boolean): number => {
    if (Atomics.exchange(header, CALL, 0) === 0) return ASLEEP;
    Atomics.sub(header, IDLE, 1);
    if (!weak.comesLate) came();
    if (!hasOtherWork) takes();
    else if (!weak.keepsCall && !make().isEmpty) kick();
    if (weak.comesLate) came();
    return RUNS;
  };
  /** A thread that does not sleep may fetch the call for one that does. */
  const look = (): number => {
    if (Atomics.exchange(header, CALL, 0) !== 0) came();
    return takes();
  };
  const programs = roles.map((role): Program => {
    if (role.startsWith('shares')) return () => share(Number(role.slice('shares '.length)));
    if (role === 'takes') return takes;
    if (role === 'looks') return look;
    if (role === 'goes to sleep') return goToSleep;
    return () => sleep(role !== 'sleeps');
  });
  return explore(
    interleavings({
      memory: [words, header],
      programs,
      check: results => {
        if (words.every(word => word === 0) || !results.includes(ASLEEP) || header[CALL] !== 0) return;
        throw new Failure('something is due, a thread sleeps, and nobody wakes it');
      },
    }),
  );
}

const sleeps: ReadonlyArray<readonly [readonly Role[], readonly number[]]> = [
  [['shares 3', 'goes to sleep', 'goes to sleep'], []],
  [['shares 3', 'shares 4', 'sleeps', 'sleeps'], []],
  [['takes', 'shares 4', 'goes to sleep'], [3]],
  [['takes', 'shares 4', 'sleeps'], [3]],
  [['shares 3', 'sleeps, has other work', 'sleeps'], []],
  [['shares 3', 'shares 4', 'sleeps, has other work', 'sleeps'], []],
  [['shares 3', 'shares 4', 'looks', 'sleeps'], []],
  [['shares 4', 'looks', 'goes to sleep'], [3]],
];
const deepSleeps: typeof sleeps = [[['shares 3', 'shares 40', 'sleeps', 'goes to sleep'], []]];
for (const [roles, first] of isDeep ? [...sleeps, ...deepSleeps] : sleeps) {
  test(`sleep: ${roles.join(', ')}`, () => {
    const { failure, states } = exploreSleep(roles, first);
    expect(failure).toBeUndefined();
    expect(states).toBeGreaterThan(20);
  }, 600_000);
}

const restless: ReadonlyArray<readonly [string, Weakness, readonly Role[], readonly number[]]> = [
  ['a look at the queue before a thread counts itself', { looksFirst: true }, ['shares 3', 'goes to sleep'], []],
  ['a look for sleepers before the queue is filled', { kicksFirst: true }, ['shares 3', 'goes to sleep'], []],
  ['one call for two', { noChain: true }, ['shares 3', 'shares 4', 'sleeps', 'sleeps'], []],
  [
    'a queue that seems empty while another takes from it',
    { noChain: true },
    ['takes', 'shares 4', 'goes to sleep'],
    [3],
  ],
  [
    'a queue that is looked at before others may call again',
    { comesLate: true },
    ['shares 3', 'shares 4', 'sleeps', 'sleeps'],
    [],
  ],
  ['a call that ends all others', { neverComes: true }, ['shares 3', 'shares 4', 'sleeps', 'sleeps'], []],
  ['a call that is not passed on', { keepsCall: true }, ['shares 3', 'sleeps, has other work', 'sleeps'], []],
];
for (const [name, weak, roles, first] of restless) {
  test(`finds ${name}`, () => {
    expect(exploreSleep(roles, first, weak).failure ?? 'nothing').toContain('nobody wakes it');
  });
}
