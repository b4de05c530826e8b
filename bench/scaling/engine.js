// A discrete simulation: processes are generators that yield what they wait for. Times are nanoseconds.
//
//   yield 120      the process computes for so long
//   yield lock     it takes the lock, when its turn comes
//   yield SLEEP    it sleeps until somebody wakes it

export const SLEEP = Symbol('sleep');

export class Engine {
  now = 0;
  /** A heap of what comes next; equal times in the order in which they were asked for. */
  #heap = [];
  #asked = 0;

  /** @param {Generator} process @param {number} core what locks and data move between */
  start(process, core, at = this.now) {
    const actor = { process, core };
    this.schedule(actor, at);
    return actor;
  }

  schedule(actor, at) {
    const heap = this.#heap;
    const order = this.#asked++;
    let i = heap.length;
    heap.push(undefined);
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (heap[up].at <= at) break;
      heap[i] = heap[up];
      i = up;
    }
    heap[i] = { actor, at, order };
  }

  /** Goes on until `isDone`. @param {number} most steps; what needs more has gone astray */
  run(isDone, most) {
    for (let steps = 0; !isDone(); steps++) {
      if (steps === most || this.#heap.length === 0) throw new Error(`The simulation does not end: ${steps} steps`);
      const { actor, at } = this.#next();
      this.now = at;
      this.current = actor;
      const { value, done } = actor.process.next();
      if (done || value === SLEEP) continue;
      if (typeof value === 'number') this.schedule(actor, at + value);
      else value.take(actor);
    }
  }

  #next() {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    const length = heap.length;
    if (length === 0) return first;
    let i = 0;
    for (;;) {
      let down = 2 * i + 1;
      if (down >= length) break;
      if (down + 1 < length && isBefore(heap[down + 1], heap[down])) down++;
      if (isBefore(last, heap[down])) break;
      heap[i] = heap[down];
      i = down;
    }
    heap[i] = last;
    return first;
  }
}

function isBefore(a, b) {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/**
 * Held by one at a time, the others in the order in which they came: what spins in the kernel (a queued spinlock), and a mutex whose
 * waiters all have a core to spin on. When it goes to another core, it and what it guards take `handoff` to get there.
 */
export class Lock {
  /** How long it was held, or on its way, in all. */
  busy = 0;
  #engine;
  #handoff;
  #holder;
  #since = 0;
  #last;
  #queue = [];

  constructor(engine, handoff) {
    this.#engine = engine;
    this.#handoff = handoff;
  }

  take(actor) {
    if (this.#holder === undefined) this.#give(actor);
    else this.#queue.push(actor);
  }

  release() {
    this.busy += this.#engine.now - this.#since;
    this.#holder = undefined;
    const next = this.#queue.shift();
    if (next !== undefined) this.#give(next);
  }

  #give(actor) {
    const moves = this.#last !== undefined && this.#last !== actor.core;
    this.#holder = actor;
    this.#last = actor.core;
    this.#since = this.#engine.now;
    this.#engine.schedule(actor, this.#engine.now + (moves ? this.#handoff : 0));
  }
}

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
