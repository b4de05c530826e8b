// One epoll instance as fs/eventpoll.c has it: a ready list under ep->lock, which waiters empty one at a time, under ep->mtx.
import { Lock, SLEEP } from './engine.js';

/** A registration. `core` is where its data was last. */
export class Registration {
  isReady = false;
  isListed = false;
  arrived = 0;
  core;

  constructor(instance) {
    this.instance = instance;
  }
}

export class Instance {
  #engine;
  #costs;
  #isLevel;
  #isScanned = false;
  #list = new Fifo();
  #sleepers = [];

  constructor(engine, costs, { isLevel = false } = {}) {
    this.#engine = engine;
    this.#costs = costs;
    this.#isLevel = isLevel;
    this.lock = new Lock(engine, costs.lockHandoff);
    this.mtx = new Lock(engine, costs.mtxHandoff);
  }

  /** ep_poll_callback: who writes puts the registration on the list, and wakes one waiter, all under ep->lock. */
  *arrive(registration, core) {
    yield this.lock;
    registration.isReady = true;
    registration.core = core;
    registration.arrived = this.#engine.now;
    this.#add(registration);
    // What comes during a scan is told of at its end.
    const sleeper = this.#isScanned ? undefined : this.#sleepers.pop();
    yield this.#costs.callback + (sleeper === undefined ? 0 : this.#costs.wake);
    this.#wakeUp(sleeper);
    this.lock.release();
  }

  /** epoll_wait: fills `out` with up to `batch` registrations that are ready. */
  *wait(core, batch, out) {
    const { enter, scan, listLock, send, away, wake, wakeUp } = this.#costs;
    yield enter;
    for (;;) {
      if (this.#list.size === 0) {
        yield this.lock;
        yield listLock;
        const sleeps = this.#list.size === 0;
        // The last that went to sleep is woken first.
        if (sleeps) this.#sleepers.push(this.#engine.current);
        this.lock.release();
        if (sleeps) {
          yield SLEEP;
          yield wakeUp;
        }
      }
      yield this.mtx;
      yield this.lock;
      yield listLock;
      this.lock.release();
      this.#isScanned = true;
      let took = scan;
      for (let left = this.#list.size; left > 0 && out.length < batch; left--) {
        const registration = this.#list.take();
        registration.isListed = false;
        took += send + (registration.core === core ? 0 : away);
        registration.core = core;
        if (!registration.isReady) continue;
        out.push(registration);
        if (this.#isLevel) this.#add(registration);
      }
      yield took;
      yield this.lock;
      this.#isScanned = false;
      const sleeper = this.#list.size === 0 ? undefined : this.#sleepers.pop();
      yield listLock + (sleeper === undefined ? 0 : wake);
      this.#wakeUp(sleeper);
      this.lock.release();
      this.mtx.release();
      if (out.length > 0) return;
    }
  }

  #add(registration) {
    if (registration.isListed) return;
    registration.isListed = true;
    this.#list.put(registration);
  }

  #wakeUp(sleeper) {
    if (sleeper !== undefined) this.#engine.schedule(sleeper, this.#engine.now);
  }
}

class Fifo {
  #items = [];
  #head = 0;

  get size() {
    return this.#items.length - this.#head;
  }

  put(item) {
    this.#items.push(item);
  }

  take() {
    const item = this.#items[this.#head++];
    if (this.#head > 4096 || this.#head === this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }
}
