// The loops that bench/c/scaling.c and `perf bench epoll wait` run, simulated: what the costs are fitted by, and held against.
import { Engine } from './engine.js';
import { Instance, Registration } from './instance.js';

const FDS = 64;
const EVENTS = 20_000;
const MOST_STEPS = 1000 * EVENTS;

/** Each thread fetches what is always ready, and level-triggered. @returns {number} events/s */
export function waits({ costs, threads, instances, batch }) {
  const engine = new Engine();
  const all = Array.from({ length: instances }, () => new Instance(engine, costs, { isLevel: true }));
  let done = 0;
  function* waiter(core) {
    const instance = all[core % instances];
    const out = [];
    for (let i = 0; i < FDS; i++) yield* instance.arrive(new Registration(instance), core);
    for (;;) {
      out.length = 0;
      yield* instance.wait(core, batch, out);
      done += out.length;
    }
  }
  for (let i = 0; i < threads; i++) engine.start(waiter(i), i, i * 37);
  engine.run(() => done >= EVENTS, MOST_STEPS);
  return done / (engine.now / 1e9);
}

/**
 * `perf bench epoll wait`: one thread writes to all, and naps; the others fetch one event at a time, level-triggered, and read until
 * there is something to read. What two of them have fetched, one reads: the other reads in vain until it is written again.
 *
 * @returns {number} reads/s, all threads together
 */
export function perf({ costs, threads, instances }) {
  const engine = new Engine();
  const all = Array.from({ length: instances }, () => new Instance(engine, costs, { isLevel: true }));
  const registrations = Array.from({ length: threads * FDS }, (_, i) => new Registration(all[i % instances]));
  let done = 0;
  function* writer() {
    for (;;) {
      for (const registration of registrations) {
        yield costs.write;
        yield* registration.instance.arrive(registration, WRITER);
      }
      yield costs.nap;
    }
  }
  function* reader(core) {
    const out = [];
    for (;;) {
      out.length = 0;
      yield* all[core % instances].wait(core, 1, out);
      const [registration] = out;
      do yield costs.read;
      while (!registration.isReady);
      registration.isReady = false;
      done++;
    }
  }
  for (let i = 0; i < threads; i++) engine.start(reader(i), i, i * 37);
  engine.start(writer(), WRITER);
  engine.run(() => done === EVENTS, MOST_STEPS);
  return done / (engine.now / 1e9);
}

const WRITER = -1;
