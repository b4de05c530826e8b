// `npm run soak -- --queue --minutes N [--seed S]`: services of random shapes, one after the other, under random traffic, requests from both sides,
// wake() and again(), faults, and a main thread that computes half of the time. Ledgers in shared memory (queue-memory.mjs) prove
// by counts that nothing is lost, doubled, or run beside itself.
import { Worker } from 'node:worker_threads';
import { WaitService } from 'epoll-pool';
import { close, eventfd, pipe, read, socketpair } from 'epoll-pool/sys';
import { randomOf } from './memory.mjs';
import { eventsOf, handlerOf, spin } from './queue-handler.mjs';
import * as M from './queue-memory.mjs';

const WRITERS = 2;
const PATIENCE_MS = 20_000;

/** What must not be, and how it is called. */
const FAULTS = [
  [M.OVERLAPS, 'runs beside another of their registration'],
  [M.STRAYS, 'runs of a registration that was gone'],
  [M.DISORDER, 'messages out of order'],
  [M.EARLY, 'runs before what their handler had asked for was carried out'],
  [M.TWICE, 'second runs of a oneshot'],
  [M.WRONG_ID, "runs with another registration's id"],
];

/** One of a kind in ten rounds, whatever the seed. */
const kinds = ['handler', 'handler', 'handler', 'listener', 'handler', 'for await'];

export async function soakQueue(minutes, seed) {
  const until = performance.now() + minutes * 60_000;
  const random = randomOf(seed);
  const total = {};
  console.log(`soak: seed ${seed}, ${minutes} minutes of run queues`);
  let rounds = 0;
  for (; performance.now() < until; rounds++) {
    const shape = {
      kind: kinds[rounds % kinds.length],
      threads: [2, 1, 4, 8, 2, 3][random(6)],
      batch: [64, 1, 3][random(3)],
      concurrency: [64, 1, 4][random(3)],
      faults: { requests: random(4) > 0, throws: random(3) > 0, deaths: random(3) > 0, memory: random(3) === 0 },
      seed: random(1_000_000),
    };
    const left = until - performance.now();
    const round = new Round(shape, Math.min(left, 1500 + random(2500)));
    const wrong = await round.run();
    for (const [name, n] of Object.entries(round.count)) total[name] = (total[name] ?? 0) + n;
    if (wrong) {
      console.log(`soak: FAILED with seed ${seed}, round ${rounds} ${JSON.stringify(shape)}: ${wrong}`);
      return false;
    }
  }
  console.log(`soak: clean; ${JSON.stringify({ rounds, ...total })}`);
  return true;
}

class Round {
  count = {
    sent: 0,
    runs: 0,
    wakes: 0,
    agains: 0,
    empty: 0,
    registered: 0,
    reused: 0,
    modified: 0,
    deaths: 0,
    throws: 0,
    messages: 0,
    blocked: 0,
  };
  wrong = '';
  #shared = M.create();
  #words;
  #ids;
  #random;
  #service;
  #serial = 0;
  #known = new Set();
  #gone = [];
  /** The ids of those whose file was closed behind the service's back: what is told of them may come late. */
  #behind = new Set();
  /** fds whose registration is being replaced. */
  #busy = new Set();
  #deaths = new Set();
  #posts = 0;
  #throws = 0;
  #working = new Set();
  #serials = new Int32Array(M.FDS);
  #closing = false;

  constructor(shape, milliseconds) {
    this.shape = shape;
    this.milliseconds = milliseconds;
    const { words, ids } = M.fields(this.#shared);
    this.#words = words;
    this.#ids = ids;
    this.#random = randomOf(shape.seed);
  }

  async run() {
    const { kind, threads, batch, concurrency, faults, seed } = this.shape;
    const words = this.#words;
    const random = this.#random;
    const hasHandler = kind === 'handler';
    const service = await WaitService.start({
      threads,
      batch,
      concurrency,
      capacity: M.FDS * 2,
      ...(faults.memory && { resourceLimits: { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 4 } }),
      ...(hasHandler && {
        handler: new URL('queue-handler.mjs', import.meta.url),
        handlerData: { shared: this.#shared, seed, faults },
      }),
    });
    this.#service = service;
    service.on('error', (error, event) => this.#error(error, event));
    service.on('message', message => this.#message(message));
    for (let i = 0; i < M.FDS; i++) await this.#open(i);
    const writers = Array.from({ length: WRITERS }, (_, index) => {
      const worker = new Worker(new URL('queue-writer.mjs', import.meta.url), {
        workerData: { shared: this.#shared, seed: seed + index, index, writers: WRITERS },
      });
      worker.on('error', error => this.#fail(`writer: ${error.stack}`));
      return worker;
    });
    if (!hasHandler) this.#consume();
    try {
      const until = performance.now() + this.milliseconds;
      let mayDie = 2;
      while (performance.now() < until && !this.wrong) {
        for (let n = random(12); n > 0; n--) this.#operate();
        if (faults.deaths && mayDie > 0 && random(40) === 0) {
          mayDie--;
          Atomics.store(words, M.MAY_DIE, 1);
        }
        if (random(12) === 0) spin(random(60));
        else if (random(3) === 0) await turn();
        else await new Promise(resolve => setTimeout(resolve, random(4)));
      }
      Atomics.store(words, M.MAY_DIE, 0);
      await this.#quiesce('at the end');
      if (hasHandler && !this.wrong) await this.#blocked();
      if (!this.wrong && random(2) === 0) {
        // The end may come in the middle of everything.
        Atomics.store(words, M.CALM, 0);
        this.#go();
        await new Promise(resolve => setTimeout(resolve, random(50)));
      }
    } finally {
      this.#closing = true;
      const timeout = random(3) === 0 ? random(20) : 5000;
      const closing = performance.now();
      await service.close({ timeout });
      const took = performance.now() - closing;
      if (took > 15_000) this.#fail(`close({ timeout: ${timeout} }) took ${took} ms`);
      const runs = Atomics.load(words, M.RUNS);
      await turn();
      if (Atomics.load(words, M.RUNS) !== runs) this.#fail('runs after close()');
      for (const writer of writers) await writer.terminate();
      for (let i = 0; i < M.FDS; i++) this.#closeRest(i);
    }
    this.#tally();
    return this.wrong;
  }

  #tally() {
    const sum = at => this.#words.subarray(at, at + M.FDS).reduce((all, n) => all + n, 0);
    const { count } = this;
    count.sent += sum(M.SENT);
    count.wakes = sum(M.WAKES);
    count.agains = sum(M.AGAINS);
    count.empty = sum(M.EMPTY);
    count.runs = this.#words[M.RUNS];
    count.deaths = this.#words[M.DEATHS];
    count.throws = this.#words[M.THROWS];
    for (const [at, what] of FAULTS) if (this.#words[at] !== 0) this.#fail(`${this.#words[at]} ${what}`);
  }

  #fail(message) {
    this.wrong ||= message;
  }

  // ---- a registration's life ------------------------------------------------------------------------------

  #mode() {
    const { kind } = this.shape;
    const n = this.#random(10);
    if (n < 5) return M.LEVEL;
    if (n < 8) return M.EDGE;
    return kind === 'handler' && n === 8 ? M.ONESHOT : M.ONESHOT_MAIN;
  }

  async #open(i) {
    const words = this.#words;
    const kind = this.#random(3);
    if (kind === M.COUNTER) words[M.READABLE + i] = words[M.WRITABLE + i] = eventfd();
    else if (kind === M.PIPE) {
      const { readable, writable } = pipe();
      words[M.READABLE + i] = readable;
      words[M.WRITABLE + i] = writable;
    } else {
      const [ours, theirs] = socketpair();
      words[M.READABLE + i] = ours;
      words[M.WRITABLE + i] = theirs;
    }
    words[M.KIND + i] = kind;
    this.count.sent += words[M.SENT + i];
    words[M.SENT + i] = 0;
    words[M.TAKEN + i] = 0;
    await this.#register(i);
    Atomics.store(words, M.OPEN + i, 1);
  }

  async #register(i) {
    const words = this.#words;
    const mode = this.#mode();
    const serial = ++this.#serial;
    this.#serials[i] = serial;
    const at = serial % M.SERIALS;
    for (const field of [M.INSIDE, M.ASKED, M.RAN]) words[field + at] = 0;
    this.#ids[M.ID + i] = 0;
    const fd = words[M.READABLE + i];
    const arm = Atomics.add(words, M.ARM + i, 1) + 1;
    const made = await this.#service.register(fd, {
      events: eventsOf(mode, false),
      data: M.pack(i, mode, arm, serial),
    });
    if (this.#known.has(made.id)) this.#fail(`the id ${made.id} was given twice`);
    if (made.fd !== fd) this.#fail(`registered ${fd}, got ${made.fd}`);
    this.#known.add(made.id);
    this.#ids[M.ID + i] = made.id;
    this.count.registered++;
    this.#wake(i);
  }

  /** What was woken while it rested, or was another, is seen after this. */
  #wake(i) {
    const id = this.#ids[M.ID + i];
    if (id === 0) return;
    Atomics.add(this.#words, M.WAKES + i, 1);
    try {
      this.#service.wake({ fd: this.#words[M.READABLE + i], id });
    } catch (error) {
      this.#gentle(i, id, error);
    }
  }

  /** Of a registration that is gone by now, ENOENT is right. */
  #gentle(i, id, error) {
    if (this.#closing && error.code === 'EBADF') return;
    const isGone = this.#busy.has(i) || this.#ids[M.ID + i] !== id || this.#ids[M.GONE + i] === id;
    if (error.code !== 'ENOENT' || !isGone) this.#fail(`registration ${id} of ${i}: ${error.stack}`);
  }

  async #modify(i, id, mode = this.#mode()) {
    if (id === 0) return;
    const arm = Atomics.add(this.#words, M.ARM + i, 1) + 1;
    this.count.modified++;
    const alsoOut = this.#random(8) === 0;
    try {
      const data = M.pack(i, mode, arm, this.#serials[i]);
      await this.#service.modify({ fd: this.#words[M.READABLE + i], id }, { events: eventsOf(mode, alsoOut), data });
      this.#wake(i);
    } catch (error) {
      this.#gentle(i, id, error);
    }
  }

  #operate() {
    const random = this.#random;
    const i = random(M.FDS);
    const what = random(20);
    if (what < 8) this.#wake(i);
    else if (what < 13) {
      if (!this.#busy.has(i)) this.#track(this.#modify(i, this.#ids[M.ID + i]));
    } else if (what < 15) this.#track(this.#replace(i, () => this.#reregister(i)));
    else if (what < 16) this.#track(this.#replace(i, () => this.#closeBehind(i)));
    else if (what < 17) this.#track(this.#stranger(i));
  }

  #track(promise) {
    const done = promise.catch(error => this.#fail(error.stack)).finally(() => this.#working.delete(done));
    this.#working.add(done);
  }

  async #replace(i, call) {
    if (this.#busy.has(i) || this.#ids[M.GONE + i] === this.#ids[M.ID + i]) return;
    this.#busy.add(i);
    try {
      await call();
    } catch (error) {
      if (!(this.#closing && error.code === 'EBADF')) throw error;
    } finally {
      this.#busy.delete(i);
    }
  }

  /** With whatever is on its way. */
  async #reregister(i) {
    const id = this.#ids[M.ID + i];
    const fd = this.#words[M.READABLE + i];
    try {
      await this.#service.unregister({ fd, id });
    } catch (error) {
      // Its handler came first: its message is on its way.
      if (error.code === 'ENOENT' && this.#ids[M.GONE + i] === id) return;
      throw error;
    }
    this.#ids[M.GONE + i] = id;
    this.#gone.push({ fd, id });
    await this.#register(i);
  }

  /** Closed without a word to the service, once all was taken. */
  async #closeBehind(i) {
    const words = this.#words;
    const id = this.#ids[M.ID + i];
    if (!(await this.#shut(i))) return;
    const deadline = performance.now() + PATIENCE_MS;
    while (words[M.TAKEN + i] !== words[M.SENT + i] && !this.#closing && this.#ids[M.GONE + i] !== id) {
      if (performance.now() > deadline)
        return this.#fail(`${i}: ${words[M.SENT + i]} sent, ${words[M.TAKEN + i]} taken`);
      await turn();
    }
    if (this.#ids[M.GONE + i] === id || this.#closing) {
      Atomics.store(words, M.OPEN + i, 1);
      return;
    }
    this.#behind.add(id);
    this.#ids[M.BEHIND + i] = id;
    // A run that has begun may read still; one that begins from now on does not.
    while (Atomics.load(words, M.INSIDE + (this.#serials[i] % M.SERIALS)) !== 0 && !this.#closing) await turn();
    this.#closeAll(i);
    this.count.reused++;
    await this.#open(i);
  }

  /** No writer writes to it any more. False: its handler is about to close it. */
  async #shut(i) {
    while (Atomics.compareExchange(this.#words, M.OPEN + i, 1, 0) !== 1) {
      if (Atomics.load(this.#words, M.OPEN + i) === 0) return false;
      await turn();
    }
    return true;
  }

  #closeAll(i) {
    const words = this.#words;
    const { [M.READABLE + i]: readable, [M.WRITABLE + i]: writable } = words;
    if (readable >= 0) close(readable);
    if (writable >= 0 && writable !== readable) close(writable);
    words[M.READABLE + i] = words[M.WRITABLE + i] = -1;
  }

  /** A handler may have closed it, and nobody heard of that any more, or of its registration: the number may be another's. */
  #closeRest(i) {
    const words = this.#words;
    const { [M.ID + i]: id, [M.GONE + i]: gone } = this.#ids;
    if (words[M.OPEN + i] === 0 && (id === 0 || id === gone)) {
      if (words[M.KIND + i] === M.COUNTER) words[M.WRITABLE + i] = -1;
      words[M.READABLE + i] = -1;
    }
    this.#closeAll(i);
  }

  /** Whatever has the number of a registration that is gone: nothing happens to it. */
  async #stranger(i) {
    const gone = this.#gone[this.#random(Math.max(1, this.#gone.length))];
    if (gone === undefined) return;
    const expect = error => {
      if (error.code !== 'ENOENT' && !(this.#closing && error.code === 'EBADF'))
        this.#fail(`a stranger: ${error.stack}`);
    };
    try {
      if (i % 3 === 0) this.#service.wake(gone);
      else if (i % 3 === 1) await this.#service.modify(gone, { events: 1 });
      else await this.#service.unregister(gone);
      this.#fail(`${JSON.stringify(gone)} is gone, and was found`);
    } catch (error) {
      expect(error);
    }
  }

  // ---- what the service tells ----------------------------------------------------------------------------

  #message(message) {
    if (message.what === 'nothing') {
      this.#posts++;
      this.count.messages++;
    } else if (this.#closing) return;
    else if (message.what === 'arm') this.#track(this.#modify(message.i, message.id, M.ONESHOT_MAIN));
    else this.#track(this.#again(message));
  }

  /** Its handler has ended it: it comes back. */
  async #again({ what, i, id }) {
    while (this.#busy.has(i)) await turn();
    if (this.#ids[M.ID + i] !== id) return;
    this.#busy.add(i);
    try {
      if (what === 'unregistered') {
        this.#gone.push({ fd: this.#words[M.READABLE + i], id });
        await this.#register(i);
      } else {
        this.#words[M.READABLE + i] = this.#words[M.KIND + i] === M.COUNTER ? this.#words[M.READABLE + i] : -1;
        if (this.#words[M.KIND + i] === M.COUNTER) this.#words[M.READABLE + i] = this.#words[M.WRITABLE + i] = -1;
        this.#closeAll(i);
        await this.#open(i);
      }
    } catch (error) {
      if (!(this.#closing && error.code === 'EBADF')) throw error;
    } finally {
      this.#busy.delete(i);
    }
  }

  #error(error, event) {
    const isDeath = error.code === 'ERR_WORKER_EXITED' || error.code === 'ERR_WORKER_OUT_OF_MEMORY';
    if (isDeath) this.#deaths.add(error);
    else if (error.message !== 'as told') {
      const { i } = M.unpack(event?.data ?? 0n);
      const isBehind = event !== undefined && this.#behind.has(event.id);
      // A handler's modify() of what was unregistered here meanwhile.
      const isGone = error.code === 'ENOENT' && (this.#ids[M.ID + i] !== event?.id || this.#busy.has(i));
      if (!isBehind && !isGone && !this.#closing)
        this.#fail(`an error that nobody asked for: ${error.stack} ${String(event?.id)}`);
      return;
    } else this.#throws++;
    if (event === undefined) return;
    const { i, serial } = M.unpack(event.data);
    if (isDeath) this.#leave(serial % M.SERIALS);
    this.#words[M.AGAIN + i] = 0;
    if (this.#closing) return;
    if (this.#ids[M.ID + i] === event.id || this.#ids[M.ID + i] === 0) this.#track(this.#revive(i, event.id));
  }

  /** Its run has ended with its thread; if it was answered already, it may be in another. */
  #leave(at) {
    const words = this.#words;
    const life = Atomics.load(words, M.INSIDE + at);
    if (words[M.DEAD + life] === 1) Atomics.compareExchange(words, M.INSIDE + at, life, 0);
  }

  /** It rests since its error. */
  async #revive(i, id) {
    while (this.#ids[M.ID + i] === 0) await turn();
    if (this.#ids[M.ID + i] === id) await this.#modify(i, id);
  }

  /** The main thread in the place of a handler. */
  #consume() {
    const { kind, seed } = this.shape;
    const service = this.#service;
    const handle = handlerOf(this.#shared, seed, { sync: kind === 'listener' });
    const readyOf = event => ({
      ...event,
      read: buffer => read(event.fd, buffer),
      post: message => this.#message(message),
    });
    if (kind === 'listener') {
      service.on('event', event => handle(readyOf(event)));
      return;
    }
    this.#track(
      (async () => {
        while (!this.#closing) {
          for await (const event of service) {
            await handle(readyOf(event));
            if (this.#random(50) === 0) break;
          }
        }
      })(),
    );
  }

  // ---- counts --------------------------------------------------------------------------------------------

  #go() {
    Atomics.store(this.#words, M.PAUSE, 0);
    Atomics.notify(this.#words, M.PAUSE);
  }

  /** What is not as it must be when all is quiet. */
  #unsettled(onlyByThreads) {
    const words = this.#words;
    const left = [];
    for (let i = 0; i < M.FDS; i++) {
      const isOneshot = words[M.MODE + i] >= M.ONESHOT;
      const what = [];
      if (!(onlyByThreads && isOneshot)) {
        if (words[M.SENT + i] !== words[M.TAKEN + i])
          what.push(`${words[M.SENT + i]} sent, ${words[M.TAKEN + i]} taken`);
        if (words[M.AGAIN + i] !== 0) what.push('again() without a run');
      }
      if (
        words[M.MODE + i] !== M.ONESHOT_MAIN &&
        !(onlyByThreads && isOneshot) &&
        words[M.SEEN + i] !== words[M.WAKES + i]
      )
        what.push('wake() without a run');
      if (words[M.EMPTY + i] > words[M.WAKES + i] + words[M.AGAINS + i])
        what.push(`${words[M.EMPTY + i]} runs for nothing`);
      if (what.length > 0)
        left.push(
          `${i} (fd ${words[M.READABLE + i]}, mode ${words[M.MODE + i]}, kind ${words[M.KIND + i]}): ${what.join(', ')}`,
        );
    }
    return left;
  }

  async #quiesce(when) {
    const words = this.#words;
    const deadline = performance.now() + PATIENCE_MS;
    Atomics.store(words, M.CALM, 1);
    Atomics.store(words, M.PAUSE, 1);
    while (Atomics.load(words, M.PAUSED) < WRITERS) await turn();
    const inRun = new Set(Array.from({ length: M.FDS }, (_, i) => i));
    const isConsumer = this.shape.kind === 'for await' ? 1 : 0;
    const why = () => [
      ...(this.#working.size > isConsumer ? [`${this.#working.size} at work`] : []),
      ...(this.#deaths.size !== words[M.DEATHS] ? [`${words[M.DEATHS]} deaths, ${this.#deaths.size} told`] : []),
      ...(this.#service.stats().restarts !== words[M.DEATHS]
        ? [`${words[M.DEATHS]} deaths, ${this.#service.stats().restarts} restarts`]
        : []),
      ...(this.#posts !== words[M.POSTS] ? [`${words[M.POSTS]} posts, ${this.#posts} messages`] : []),
      ...(this.#throws !== words[M.THROWS] ? [`${words[M.THROWS]} throws, ${this.#throws} errors`] : []),
      // Some are ready for ever: each is seen between two runs, and not all of them at the same time.
      ...[...inRun].flatMap(i => {
        if (words[M.INSIDE + (this.#serials[i] % M.SERIALS)] === 0) inRun.delete(i);
        return inRun.has(i) ? [`${i} in a run`] : [];
      }),
      ...this.#unsettled(false),
    ];
    while (why().length > 0 && performance.now() < deadline && !this.wrong) await turn();
    const left = why();
    if (left.length > 0) this.#fail(`${when}: ${left.join('; ')}`);
  }

  /** The main thread is blocked while the threads work, and all is done when it looks. */
  async #blocked() {
    const words = this.#words;
    const never = new Int32Array(new SharedArrayBuffer(4));
    this.#go();
    Atomics.wait(never, 0, 0, 200);
    Atomics.store(words, M.PAUSE, 1);
    const deadline = performance.now() + PATIENCE_MS / 2;
    while (Atomics.load(words, M.PAUSED) < WRITERS) Atomics.wait(never, 0, 0, 1);
    while (this.#unsettled(true).length > 0 && performance.now() < deadline) Atomics.wait(never, 0, 0, 1);
    const left = this.#unsettled(true);
    if (left.length > 0) this.#fail(`while the main thread was blocked: ${left.join('; ')}`);
    this.count.blocked++;
    await this.#quiesce('after the main thread was blocked');
  }
}

const turn = () => new Promise(resolve => setImmediate(resolve));
