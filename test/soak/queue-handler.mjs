// The handler of queue.mjs: keeps the ledger of its registration, and does something at random. Also called on the main thread.
import { EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT } from 'epoll-pool';
import { randomOf } from './memory.mjs';
import * as M from './queue-memory.mjs';

let handle;

export function setup({ shared, seed, faults }) {
  handle = handlerOf(shared, seed + Math.floor(Math.random() * 1e6), faults);
}

export default function run(ready) {
  return handle(ready);
}

export function eventsOf(mode, alsoOut) {
  const mask = alsoOut ? EPOLLIN | EPOLLOUT : EPOLLIN;
  if (mode === M.EDGE) return mask | EPOLLET;
  return mode >= M.ONESHOT ? EPOLLIN | EPOLLONESHOT : EPOLLIN;
}

/** @param faults what it may do: `requests`, `throws`, `deaths`, `memory`; `sync`: that it may not return promises */
export function handlerOf(shared, seed, faults) {
  const { words, ids } = M.fields(shared);
  const random = randomOf(seed);
  const life = Atomics.add(words, M.LIVES, 1) + 1;
  const counter = new BigUint64Array(1);
  const messages = new Int32Array(4);
  const add = (at, n = 1) => Atomics.add(words, at, n);

  /** How many were taken; -1: it would block. */
  function read(ready, i) {
    // Its file is about to be closed, or is: a run that has begun by then must not read what has the number next.
    if (ids[M.BEHIND + i] === ready.id) return -1;
    const isCounter = words[M.KIND + i] === M.COUNTER;
    const n = ready.read(isCounter ? counter : messages);
    if (n <= 0) return n;
    if (isCounter) {
      add(M.TAKEN + i, Number(counter[0]));
      return Number(counter[0]);
    }
    for (let k = 0; k < n / 4; k++) if (messages[k] !== words[M.TAKEN + i] + k) add(M.DISORDER);
    add(M.TAKEN + i, n / 4);
    return n / 4;
  }

  function wakeOther(ready) {
    const j = random(M.FDS);
    add(M.WAKES + j);
    // Registered anew meanwhile: that one is meant.
    for (let id = -1; ids[M.ID + j] !== id; ) {
      id = ids[M.ID + j];
      ready.wake({ id });
    }
  }

  function end(serial) {
    Atomics.store(words, M.INSIDE + serial, 0);
  }

  return function handle(ready) {
    const { i, mode, arm, serial } = M.unpack(ready.data);
    const at = serial % M.SERIALS;
    add(M.RUNS);
    const isBehind = ids[M.BEHIND + i] === ready.id;
    const other = Atomics.exchange(words, M.INSIDE + at, life);
    if (other !== 0 && Atomics.load(words, M.DEAD + other) === 0) add(M.OVERLAPS);
    if (ids[M.GONE + i] === ready.id) add(M.STRAYS);
    if (Atomics.load(words, M.ASKED + at) === arm) add(M.EARLY);
    if (mode >= M.ONESHOT && Atomics.exchange(words, M.RAN + at, arm) === arm) add(M.TWICE);
    if (!isBehind) {
      const known = ids[M.ID + i];
      if (known !== 0 && known !== ready.id && ids[M.BEHIND + i] !== ready.id) add(M.WRONG_ID);
      Atomics.store(words, M.MODE + i, mode);
      Atomics.store(words, M.AGAIN + i, 0);
      Atomics.store(words, M.SEEN + i, Atomics.load(words, M.WAKES + i));
      if (ready.events === 0) add(M.EMPTY + i);
    }
    // An edge is read to its end, now or in further runs.
    const untilEmpty = random(2) === 0;
    if (mode === M.EDGE && !untilEmpty && !isBehind && ready.again !== undefined) {
      if (read(ready, i) > 0) {
        add(M.AGAINS + i);
        Atomics.store(words, M.AGAIN + i, 1);
        ready.again();
      }
    } else if (mode === M.EDGE || untilEmpty) while (read(ready, i) > 0);
    else read(ready, i);
    const isCalm = Atomics.load(words, M.CALM) === 1;
    const number = random(1000);
    const what = faults.sync && number >= 160 && number < 260 ? 999 : number;
    if (what < 100) spin(random(100) / 1000);
    else if (what < 110) spin(1 + random(3));
    else if (what < 160 && ready.wake !== undefined && !isBehind) wakeOther(ready);
    const rearms = () => {
      if (mode === M.ONESHOT) modify(ready, i, mode, arm, serial, at);
      else if (mode === M.ONESHOT_MAIN) ready.post({ what: 'arm', i, id: ready.id });
    };
    if (isCalm || isBehind) {
      if (what < 200 && what >= 160) return late(at, rearms, false);
      rearms();
      end(at);
      return undefined;
    }
    if (what >= 200 && what < 260) {
      const throws = faults.throws && random(8) === 0;
      return late(at, throws ? () => {} : rearms, throws);
    }
    if (what >= 260 && what < 270) {
      add(M.POSTS);
      ready.post({ what: 'nothing' });
    } else if (faults.throws && what < 280 && what >= 270) {
      add(M.THROWS);
      if (random(2) === 0) rearms();
      end(at);
      throw new Error('as told');
    } else if (faults.requests && what < 300 && what >= 280) {
      modify(ready, i, mode, arm, serial, at);
      end(at);
      return random(2) === 0 ? undefined : pause(random(3));
    } else if (faults.requests && what < 310 && what >= 300) {
      ids[M.GONE + i] = ready.id;
      ready.unregister();
      end(at);
      ready.post({ what: 'unregistered', i, id: ready.id });
      return random(2) === 0 ? undefined : pause(random(3));
    } else if (faults.requests && what < 320 && what >= 310) {
      if (Atomics.compareExchange(words, M.OPEN + i, 1, 0) === 1) {
        while (read(ready, i) > 0);
        ids[M.GONE + i] = ready.id;
        ready.close();
        end(at);
        ready.post({ what: 'closed', i, id: ready.id });
        return undefined;
      }
    } else if (faults.deaths && what === 320 && Atomics.exchange(words, M.MAY_DIE, 0) === 1) {
      add(M.DEATHS);
      Atomics.store(words, M.DEAD + life, 1);
      if (random(2) === 0) rearms();
      if (faults.memory && random(2) === 0) for (const kept = []; ; ) kept.push(new Array(10_000).fill(serial));
      process.exit(7);
    }
    rearms();
    end(at);
    return undefined;
  };

  function modify(ready, i, mode, arm, serial, at) {
    Atomics.store(words, M.ASKED + at, arm);
    const next = add(M.ARM + i) + 1;
    ready.modify({ events: eventsOf(mode, false), data: M.pack(i, mode, next, serial) });
  }

  async function late(at, rearms, throws) {
    await pause(random(4));
    if (throws) add(M.THROWS);
    else rearms();
    end(at);
    if (throws) throw new Error('as told');
  }
}

function pause(milliseconds) {
  return new Promise(resolve => {
    if (milliseconds === 0) setImmediate(resolve);
    else setTimeout(resolve, milliseconds);
  });
}

export function spin(milliseconds) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}
