/**
 * Every interleaving of the atomic operations of shipped code. Code that is called synchronously cannot stop between two of them;
 * so it is run from its start again and again, each time with the answers that it had so far and one operation more. What threads
 * share must be Int32Arrays that are used by Atomics alone.
 */
import { Failure, type Model } from './explore.js';

/** What takes more operations than this has no end. */
const MOST = 200;

/** What one thread does. It is called often, and may know of nothing but what its operations answer. */
export type Program = () => number;

export interface Threads {
  readonly memory: readonly Int32Array[];
  readonly programs: readonly Program[];
  /** How many threads may die, between any two operations. */
  readonly deaths?: number;
  /** All have ended, with these results (undefined: it is dead); the memory is as they have left it. @throws Failure */
  check(results: ReadonlyArray<number | undefined>): void;
}

interface Progress {
  /** What its operations have answered. */
  readonly log: readonly number[];
  readonly isDone: boolean;
  readonly result?: number;
}

interface State {
  /** The memory, one array after the other. */
  readonly words: Int32Array;
  readonly threads: readonly Progress[];
  readonly deaths: number;
}

class Suspended extends Error {}

type Perform = (words: Int32Array, at: number, change: (before: number) => number) => number;

/** Runs `program` while every operation goes through `perform`, which answers what was there before. */
function instrumented(perform: Perform, program: Program): number {
  const operation =
    (change: (before: number, value: number) => number) =>
    (words: Int32Array, at: number, value = 0): number =>
      perform(words, at, before => change(before, value));
  const replacement = {
    load: operation(before => before),
    store: operation((_, value) => value),
    or: operation((before, value) => before | value),
    and: operation((before, value) => before & value),
    add: operation((before, value) => (before + value) | 0),
    sub: operation((before, value) => (before - value) | 0),
    exchange: operation((_, value) => value),
  };
  const real = Object.getOwnPropertyDescriptor(globalThis, 'Atomics');
  Object.defineProperty(globalThis, 'Atomics', { value: replacement, configurable: true, writable: true });
  try {
    return program();
  } finally {
    if (real !== undefined) Object.defineProperty(globalThis, 'Atomics', real);
  }
}

export function interleavings({ memory, programs, deaths = 0, check }: Threads): Model<State> {
  const size = memory.reduce((sum, { length }) => sum + length, 0);
  const save = (): Int32Array => {
    const words = new Int32Array(size);
    let at = 0;
    for (const array of memory) {
      words.set(array, at);
      at += array.length;
    }
    return words;
  };
  const restore = (words: Int32Array): void => {
    let at = 0;
    for (const array of memory) {
      array.set(words.subarray(at, at + array.length));
      at += array.length;
    }
  };

  /** One more operation of a thread. */
  const step = (program: Program, { log }: Progress): Progress => {
    let done = 0;
    let answer: number | undefined;
    const after = (): readonly number[] => (answer === undefined ? log : [...log, answer]);
    try {
      const result = instrumented((words, at, change) => {
        const known = log[done++];
        if (known !== undefined) return known;
        if (answer !== undefined) throw new Suspended();
        answer = words[at] ?? 0;
        words[at] = change(answer);
        return answer;
      }, program);
      // How it came to its end makes no difference any more.
      return { log: [], isDone: true, result };
    } catch (error) {
      if (!(error instanceof Suspended)) throw error;
      if (log.length > MOST) throw new Failure('a thread goes round in circles');
      return { log: after(), isDone: false };
    }
  };

  return {
    first: { words: save(), threads: programs.map(() => ({ log: [], isDone: false })), deaths },
    key: ({ words, threads, deaths }) => {
      const parts = threads.map(({ log, isDone, result }) => (isDone ? `=${result}` : log.join()));
      return `${deaths};${words.join()};${parts.join(';')}`;
    },
    next: (state, add) => {
      let isOver = true;
      programs.forEach((program, i) => {
        const thread = state.threads[i];
        if (thread === undefined || thread.isDone) return;
        isOver = false;
        const become = (progress: Progress): readonly Progress[] =>
          state.threads.map((it, j) => (j === i ? progress : it));
        restore(state.words);
        const after = step(program, thread);
        add({ words: save(), threads: become(after), deaths: state.deaths }, `thread ${i}`);
        if (state.deaths === 0) return;
        add({ ...state, threads: become({ log: [], isDone: true }), deaths: state.deaths - 1 }, `thread ${i} dies`);
      });
      if (!isOver) return;
      restore(state.words);
      check(state.threads.map(({ result }) => result));
    },
  };
}
