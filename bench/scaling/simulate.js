// N threads, each on a core of its own, that wait on one epoll instance or on K: what gets done in a second.
//
// What is modelled: the steps of bench/scaling/instance.js; between them each thread computes, undisturbed. What is not: memory
// bandwidth, clock rates, other processes, more threads than cores, a second socket (see `far`), JavaScript's garbage collection.
import { Engine, randomOf } from './engine.js';
import { Instance, Registration } from './instance.js';

/** Registrations for each thread. All are ready all the time: a handler's write makes its own registration ready again. */
const FDS = 64;
/** Handlers take so much more or less, at random; in step they would meet at the locks always or never. */
const SPREAD = 0.2;
/** For an event: many times what one takes, even where each wait finds nothing. */
const MOST_STEPS = 200;

/**
 * @param {object} options
 * @param {object} options.costs nanoseconds for each step, as in costs.json
 * @param {number} options.threads
 * @param {number} [options.instances] threads and registrations are dealt to them in turn; 1
 * @param {number} [options.batch] most events fetched by one wait; 16
 * @param {number | ((random: () => number) => number)} [options.handler] ns that a run takes beside its read and its write; 0
 * @param {number} [options.arrivals] events per second that come from elsewhere, at random: instead of the handlers' own writes
 * @param {number} [options.far] the way between cores takes so many times as long as measured; 1
 * @param {number} [options.events] how many are measured; 10,000
 * @param {number} [options.spread] 0: nothing is random
 * @param {number} [options.seed] 1
 * @returns {{rate: number, mtx: number, lock: number, waits: Float64Array}} events per second; how busy (0 to 1) the busiest
 *   instance's ep->mtx and ep->lock were; ns from each event to its run, sorted
 */
export function simulate(options) {
  const { threads, instances = 1, batch = 16, handler = 0, arrivals, far = 1, spread = SPREAD, seed = 1 } = options;
  const { events = 10_000 } = options;
  const costs = farther(options.costs, far);
  const random = randomOf(seed);
  const engine = new Engine();
  const all = Array.from({ length: instances }, () => new Instance(engine, costs));
  const registrations = Array.from({ length: threads * FDS }, (_, i) => new Registration(all[i % instances]));
  const warmup = registrations.length;
  const waits = new Float64Array(warmup + events);
  let begun = 0;
  let done = 0;
  let from;

  const varied = ns => (spread === 0 ? ns : ns * (1 + spread * (2 * random() - 1)));
  const runTime = typeof handler === 'function' ? () => handler(random) : () => varied(handler);

  function* thread(core, instance) {
    const batchOf = [];
    for (;;) {
      batchOf.length = 0;
      yield* instance.wait(core, batch, batchOf);
      for (const registration of batchOf) {
        if (begun < waits.length) waits[begun++] = engine.now - registration.arrived;
        registration.isReady = false;
        yield varied(costs.claim + costs.read + costs.write) + runTime();
        if (arrivals === undefined) yield* instance.arrive(registration, core);
        if (++done === warmup)
          from = { at: engine.now, busy: all.map(({ mtx, lock }) => ({ mtx: mtx.busy, lock: lock.busy })) };
      }
    }
  }

  /** Events at random registrations that have none; where all have one, it is refused. */
  function* network() {
    for (;;) {
      yield -Math.log(1 - random()) * (1e9 / arrivals);
      const registration = registrations[Math.floor(random() * registrations.length)];
      if (!registration.isReady) yield* registration.instance.arrive(registration, NETWORK);
    }
  }

  function* fill() {
    for (const registration of registrations) yield* registration.instance.arrive(registration, undefined);
  }

  if (arrivals === undefined) engine.start(fill(), undefined);
  else engine.start(network(), NETWORK);
  for (let i = 0; i < threads; i++) engine.start(thread(i, all[i % instances]), i, i * (varied(costs.enter) / threads));
  engine.run(() => done >= warmup + events, MOST_STEPS * (warmup + events));

  const took = engine.now - from.at;
  const busiest = name => Math.max(...all.map((instance, i) => (instance[name].busy - from.busy[i][name]) / took));
  return {
    rate: (done - warmup) / (took / 1e9),
    mtx: busiest('mtx'),
    lock: busiest('lock'),
    waits: waits.subarray(warmup).sort(),
  };
}

const NETWORK = -1;

/** What an event costs a thread that is alone. @returns {number} ns */
export function alone(costs, batch, handler = 0) {
  const { enter, scan, listLock, send, claim, read, write, callback } = costs;
  return (enter + scan + 2 * listLock) / batch + send + claim + read + handler + write + callback;
}

function farther(costs, times) {
  const { lockHandoff, mtxHandoff, away } = costs;
  return { ...costs, lockHandoff: lockHandoff * times, mtxHandoff: mtxHandoff * times, away: away * times };
}
