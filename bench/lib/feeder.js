// 64 eventfds that a thread feeds in a closed loop: it writes one again only after its last event was consumed.
import { setImmediate as turn } from 'node:timers/promises';
import { meter } from './meter.js';
import { sys } from './ours.js';
import { join, shared, startWorker } from './threads.js';

export const FDS = 64;

const WRITTEN = 0;
const STOP = 1;

/** Words: 0 whether the feeder sleeps (on this word), 16 + i whether fd i has an event on its way. */
export class Feed {
  fds = Array.from({ length: FDS }, () => sys.eventfd());
  consumed = 0;
  /** Events that came although there was nothing to read. */
  empty = 0;
  #words = shared(16 + FDS);
  #control = shared(2);
  #indexOf = new Int32Array(Math.max(...this.fds) + 1);
  #value = new Uint32Array(2);
  #worker;

  constructor() {
    for (const [i, fd] of this.fds.entries()) this.#indexOf[fd] = i;
  }

  async start() {
    const { fds } = this;
    const data = { fds, words: this.#words, control: this.#control };
    this.#worker = await startWorker('feeder', data);
  }

  /** What each contestant does with an event: reads the fd, and lets the feeder write it again. */
  consume(fd) {
    if (sys.read(fd, this.#value) < 0) {
      this.empty++;
      return;
    }
    this.consumed += this.#value[0];
    const words = this.#words;
    Atomics.store(words, 16 + this.#indexOf[fd], 0);
    if (Atomics.load(words, 0) === 1) Atomics.notify(words, 0);
  }

  /** Measures, stops, and waits for what is still on its way. */
  async measure(time) {
    const values = await meter(() => this.consumed, time);
    Atomics.store(this.#control, STOP, 1);
    Atomics.notify(this.#words, 0);
    await join(this.#worker);
    const sent = Atomics.load(this.#control, WRITTEN);
    for (const until = performance.now() + 2000; this.consumed < sent && performance.now() < until; ) await turn();
    return { values: { ...values, empty: this.empty }, sent, received: this.consumed };
  }
}

/** Feeds the eventfds to a contestant, which has arranged for `feed.consume(fd)` by the time `watch` resolves. */
export async function feed(watch, time) {
  const one = new Feed();
  await watch(one);
  await one.start();
  return one.measure(time);
}
