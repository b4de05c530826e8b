/**
 * The memory that a server's threads share, with threads that end at any moment: what is sent comes whole and in order, and when all is
 * over nothing is in use.
 *
 * @module-tag slow
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import * as sys from 'epoll-pool/sys';
import { expect, onTestFinished, test } from 'vitest';
import { Book } from '../dist/main/server/book.js';
import { Recovery } from '../dist/main/server/recovery.js';
import { Arena, BLOCK_BYTES, MAILED, SENDER } from '../dist/shared/server/arena.js';
import { Chains } from '../dist/shared/server/chain.js';
import * as L from '../dist/shared/server/layout.js';
import * as lock from '../dist/shared/server/lock.js';
import * as mailbox from '../dist/shared/server/mailbox.js';
import { Senders } from '../dist/worker/server/senders.js';
import { Wire } from '../dist/worker/server/wire.js';
import { until } from './support/service.ts';
import { within } from './support/within.ts';

const ROOT = new URL('../dist/', import.meta.url).href;
const THREADS = 3;
const CONNECTIONS = 4;
const DEATHS = 30;

/** What one peer has read, checked line by line. */
class Peer {
  /** By sender's index and life: the number that comes next. */
  readonly next = new Map<string, number>();
  lines = 0;
  #rest = '';

  constructor(
    readonly fd: number,
    readonly id: number,
  ) {}

  /** @returns whether something came */
  read(buffer: Buffer): boolean {
    const n = sys.read(this.fd, buffer);
    if (n <= 0) return false;
    const lines = (this.#rest + buffer.toString('latin1', 0, n)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#check(line);
    return true;
  }

  #check(line: string): void {
    const [index = '', life = '', id, number, text = ''] = line.split(' ');
    const expected = this.next.get(`${index} ${life}`) ?? 0;
    if (Number(id) !== this.id || Number(number) !== expected)
      throw new Error(`${this.id} after ${expected}: ${line.slice(0, 50)}`);
    const whole = ('abcdefghij'[expected % 10] ?? '').repeat((expected * 7919) % 3000);
    if (text !== whole) throw new Error(`torn: ${line.slice(0, 50)}`);
    this.next.set(`${index} ${life}`, expected + 1);
    this.lines++;
  }

  get isMiddle(): boolean {
    return this.#rest !== '';
  }
}

test(`${DEATHS} deaths of threads that send`, async () => {
  const plan = L.createPlan({ threads: THREADS, maxConnections: 64, stateBytes: 0, memory: 4 << 20 });
  const memory = L.memoryOf(plan);
  const { words } = memory;
  const arena = new Arena(plan.arena);
  const book = new Book(plan, memory, arena);
  const chains = new Chains(arena, words);
  const maxOutput = 1 << 20;
  const control = new Int32Array(new SharedArrayBuffer(16));
  const pending: Array<() => void> = [];
  const recovery = new Recovery({ memory, arena, wake: () => {}, done: () => {}, later: call => pending.push(call) });
  const buffer = Buffer.alloc(1 << 20);
  const peers = new Map<number, Peer>();
  let lines = 0;

  const open = (): void => {
    const [ours, theirs] = sys.socketpair();
    const id = book.open(ours, new Uint8Array(0), 0, 0, 0, undefined);
    words[L.baseOf(L.slotOf(id)) + L.FLAGS] = L.OPENED;
    peers.set(id, new Peer(theirs, id));
  };
  /** Its thread is dead: so is it. */
  const bury = (id: number): void => {
    const slot = L.slotOf(id);
    const base = L.baseOf(slot);
    while (lock.take(words, base, L.generationOf(id), L.MAIN, 0, true) !== lock.TAKEN) Atomics.wait(control, 3, 0, 1);
    book.retire(slot);
    book.clear(slot);
    sys.close(words[L.baseOf(slot) + L.FD] ?? -1);
    book.free(slot);
    const peer = peers.get(id);
    if (peer !== undefined) {
      while (peer.read(buffer)) {}
      lines += peer.lines;
      sys.close(peer.fd);
    }
    peers.delete(id);
  };
  const readAll = (): void => {
    for (const peer of peers.values()) while (peer.read(buffer)) {}
    Atomics.store(control, 2, Atomics.load(control, 1));
    for (const call of pending.splice(0)) call();
  };
  for (let i = 0; i < CONNECTIONS; i++) open();

  const begin = async (index: number, life: number): Promise<Worker> => {
    const worker = new Worker(new URL('fixtures/sender-thread.mjs', import.meta.url), {
      workerData: { root: ROOT, plan, index, life, control, maxOutput },
    });
    await within(once(worker, 'message'));
    return worker;
  };
  const workers = await Promise.all(Array.from({ length: THREADS }, (_, index) => begin(index, 0)));
  onTestFinished(async () => {
    await Promise.all(workers.map(worker => worker.terminate()));
  });
  let taken = 0;
  for (let death = 0; death < DEATHS; death++) {
    const before = Atomics.load(control, 1);
    await until(() => {
      readAll();
      return Atomics.load(control, 1) - before > 200 + ((death * 13) % 50);
    }, 'work');
    const index = death % THREADS;
    await workers[index]?.terminate();
    recovery.recover(index, [...book.slots()]);
    for (const slot of [...book.slots()]) {
      if ((Atomics.load(words, L.baseOf(slot) + L.COMMANDS) & L.COMMAND_THREAD) === 0) continue;
      taken++;
      bury(book.idAt(slot));
      open();
    }
    workers[index] = await begin(index, death + 1);
  }
  Atomics.store(control, 0, 1);
  Atomics.notify(control, 0);
  await Promise.all(workers.map(worker => new Promise(resolve => worker.once('exit', resolve))));
  // What is left is sent by one who has all locks for himself.
  const wire = new Wire({ memory, counts: new Float64Array(8), arena, maxOutput });
  readAll();
  expect(pending).toEqual([]);
  for (const slot of book.slots()) {
    const base = L.baseOf(slot);
    expect(lock.ownerOf(words[base] ?? 0)).toBe(0);
    wire.drain(base, slot, L.generationOf(book.idAt(slot)));
    while (chains.bytesOf(base + L.OUTPUT) > 0) {
      words[base + L.FLAGS] = L.OPENED;
      expect(wire.flush(base)).toBe(true);
      readAll();
    }
  }
  readAll();
  for (const peer of peers.values()) expect(peer.isMiddle).toBe(false);
  for (const id of [...peers.keys()]) bury(id);
  book.sweep();
  expect(arena.used).toBe(0);
  expect(lines).toBeGreaterThan(1000);
  // Most deaths meet a thread at something else than a connection.
  expect(taken).toBeLessThan(DEATHS);
}, 60_000);

/** A thread of that number has died at one of the steps of putting an item of three blocks into a mailbox. */
test.each([
  ['while it filled it', 0, false],
  ['when it had named it', 1, false],
  ['when one block had the tag of the mailbox', 2, false],
  ['when all blocks had', 3, false],
  ['when it was in there', 4, true],
  ['when it was in there, and another one behind it', 5, true],
])('a sender that dies %s', (_when, step, isSent) => {
  const plan = L.createPlan({ threads: 2, maxConnections: 4, stateBytes: 0, memory: 1 << 20 });
  const memory = L.memoryOf(plan);
  const { words } = memory;
  const arena = new Arena(plan.arena);
  const book = new Book(plan, memory, arena);
  const later: Array<() => void> = [];
  const recovery = new Recovery({ memory, arena, wake: () => {}, done: () => {}, later: call => later.push(call) });
  const id = book.open(1 << 20, new Uint8Array(0), 0, 0, 0, undefined);
  const slot = L.slotOf(id);
  const base = L.baseOf(slot);
  words[base + L.FLAGS] = L.OPENED;
  const intents = memory.threads[0]?.words ?? new Int32Array(8);
  const item = mailbox.write(arena, SENDER | 1, mailbox.DATA, L.generationOf(id), Buffer.alloc(2500, 97));
  if (step >= 1) {
    intents[L.INTENT_SLOT] = slot;
    intents[L.INTENT] = item + 1;
  }
  if (step === 2) arena.pass(item, MAILED | slot);
  if (step === 3) for (let block = item; block >= 0; block = arena.nextOf(block)) arena.pass(block, MAILED | slot);
  if (step >= 4) {
    mailbox.push(arena, words, base, slot, item, intents);
    intents[L.INTENT] = item + 1;
  }
  if (step === 5) book.mail(id, mailbox.DATA, Buffer.from('second'), 1 << 20);
  // Another has the lock meanwhile.
  expect(lock.take(words, base, L.generationOf(id), 2, 0, false)).toBe(lock.TAKEN);
  recovery.recover(0, [...book.slots()]);
  expect(later).toHaveLength(step === 0 ? 0 : 1);
  lock.letGo(words, base);
  for (const call of later.splice(0)) call();
  expect(lock.isOpen(words, base, L.generationOf(id))).toBe(true);
  const chains = new Chains(arena, words);
  const wire = new Wire({ memory, counts: new Float64Array(8), arena, maxOutput: 1 << 20 });
  wire.drain(base, slot, L.generationOf(id));
  const text = `${isSent ? 'a'.repeat(2500) : ''}${step === 5 ? 'second' : ''}`;
  const out = Buffer.alloc(chains.bytesOf(base + L.OUTPUT));
  chains.peek(base + L.OUTPUT, out, 0, out.length);
  expect(out.toString()).toBe(text);
  chains.clear(base + L.OUTPUT);
  expect(arena.used).toBe(0);
});

test('what has come into the mailbox, and nobody has said so yet, is sent by whoever sends next', () => {
  const plan = L.createPlan({ threads: 1, maxConnections: 4, stateBytes: 0, memory: 1 << 20 });
  const memory = L.memoryOf(plan);
  const { words } = memory;
  const arena = new Arena(plan.arena);
  const book = new Book(plan, memory, arena);
  const [ours, theirs] = sys.socketpair();
  onTestFinished(() => {
    sys.close(ours);
    sys.close(theirs);
  });
  const id = book.open(ours, new Uint8Array(0), 0, 0, 0, undefined);
  const slot = L.slotOf(id);
  words[L.baseOf(slot) + L.FLAGS] = L.OPENED;
  const wire = new Wire({ memory, counts: new Float64Array(8), arena, maxOutput: 1 << 20 });
  const senders = new Senders({ memory, arena, wire, index: 0, maxOutput: 1 << 20, wake: () => {} });
  // Its sender found the lock held, and has not come to look again: by then the lock is free.
  expect(book.mail(id, mailbox.DATA, Buffer.from('first '), 1 << 20)).toBe(true);
  expect(senders.deliver(slot, L.generationOf(id), Buffer.from('second'), mailbox.DATA)).toBe(true);
  const buffer = Buffer.alloc(64);
  expect(buffer.toString('latin1', 0, sys.read(theirs, buffer))).toBe('first second');
  expect(arena.used).toBe(0);
});

test.each([true, false])('nothing is taken behind an end that lies in the mailbox; opened: %s', opened => {
  const plan = L.createPlan({ threads: 2, maxConnections: 4, stateBytes: 0, memory: 1 << 20 });
  const memory = L.memoryOf(plan);
  const { words } = memory;
  const arena = new Arena(plan.arena);
  const book = new Book(plan, memory, arena);
  const [ours, theirs] = sys.socketpair();
  onTestFinished(() => {
    sys.close(ours);
    sys.close(theirs);
  });
  const id = book.open(ours, new Uint8Array(0), 0, 0, 0, undefined);
  const slot = L.slotOf(id);
  const base = L.baseOf(slot);
  const generation = L.generationOf(id);
  const wire = new Wire({ memory, counts: new Float64Array(8), arena, maxOutput: 1 << 20 });
  const [one, other] = [0, 1].map(
    index => new Senders({ memory, arena, wire, index, maxOutput: 1 << 20, wake: () => {} }),
  );
  // Somebody is at work with it; or nobody is, and its open() is still to come.
  if (opened) {
    words[base + L.FLAGS] = L.OPENED;
    expect(lock.take(words, base, generation, 2, 0, false)).toBe(lock.TAKEN);
  }
  const deliver = (text: string, kind: number) => one?.deliver(slot, generation, Buffer.from(text), kind);
  expect(deliver('one ', mailbox.DATA)).toBe(true);
  expect(deliver('last', mailbox.LAST)).toBe(true);
  expect([deliver('more', mailbox.DATA), deliver('', mailbox.LAST)]).toEqual([false, false]);
  expect(book.mail(id, mailbox.DATA, Buffer.from('more'), 1 << 20)).toBe(false);
  if (opened) other?.letGo(base, slot, generation, L.OPENED);
  else {
    wire.drain(base, slot, generation);
    wire.flush(base);
  }
  const buffer = Buffer.alloc(64);
  expect(buffer.toString('latin1', 0, sys.read(theirs, buffer))).toBe('one last');
  expect((words[base + L.FLAGS] ?? 0) & L.ENDING).toBe(L.ENDING);
  expect(arena.used).toBe(0);
});

test('words of connections: each has its own, idle ones none of the cold ones', () => {
  const plan = L.createPlan({ threads: 1, maxConnections: 2000, stateBytes: 0, memory: 1 << 20 });
  const memory = L.memoryOf(plan);
  const { words } = memory;
  const book = new Book(plan, memory, new Arena(plan.arena));
  const cold = [L.INPUT, L.BACKLOG, L.OUTPUT, L.SEEN, L.TOTAL, L.POSITION, L.EPOCH, L.SSL, L.CONTEXT];
  const ids = Array.from({ length: 2000 }, (_, i) => book.open(i, new Uint8Array(28).fill(2), 28, 0, 0, undefined));
  for (const id of ids) for (const at of cold) expect(words[L.baseOf(L.slotOf(id)) + at]).toBe(0);
  for (const id of ids) for (const at of cold) words[L.baseOf(L.slotOf(id)) + at] = id;
  for (const [i, id] of ids.entries()) {
    const base = L.baseOf(L.slotOf(id));
    expect(cold.map(at => words[base + at])).toEqual(cold.map(() => id));
    expect(words[base + L.GENERATION]).toBe(L.generationOf(id));
    expect(words[base + L.FD]).toBe(i);
    expect(words[base + L.ADDRESS_BYTES]).toBe(28);
  }
  const base = L.baseOf(L.slotOf(ids[0] ?? 0));
  L.clearWords(words, base);
  // A thread may have a copy of what the connection before had begun.
  expect(cold.map(at => words[base + at])).toEqual(cold.map(at => (at === L.EPOCH ? ids[0] : 0)));
});

test("what a live thread is about to push stays its own when another, that had the mailbox's lock, has died", () => {
  const plan = L.createPlan({ threads: 2, maxConnections: 4, stateBytes: 0, memory: 1 << 20 });
  const memory = L.memoryOf(plan);
  const { words } = memory;
  const arena = new Arena(plan.arena);
  const book = new Book(plan, memory, arena);
  const recovery = new Recovery({ memory, arena, wake: () => {}, done: () => {}, later: () => {} });
  const id = book.open(1 << 20, new Uint8Array(0), 0, 0, 0, undefined);
  const [slot, generation] = [L.slotOf(id), L.generationOf(id)];
  const base = L.baseOf(slot);
  words[base + L.FLAGS] = L.OPENED;
  const chains = new Chains(arena, words);
  // Thread 0 has output, and has taken an item out of the mailbox; thread 1 is about to push another.
  lock.take(words, base, generation, 1, 0, false);
  chains.append(base + L.OUTPUT, slot + 1, Buffer.alloc(5000), 0, 5000);
  book.mail(id, mailbox.DATA, Buffer.alloc(3000), 1 << 20);
  mailbox.takeAll(arena, words, base);
  const intents = memory.threads[1]?.words ?? new Int32Array(8);
  const item = mailbox.write(arena, SENDER | 2, mailbox.DATA, generation, Buffer.alloc(2500));
  intents[L.INTENT_SLOT] = slot;
  intents[L.INTENT] = item + 1;
  for (let block = item; block >= 0; block = arena.nextOf(block)) arena.pass(block, MAILED | slot);
  expect(arena.used).toBe(5 + 3 + 3);
  recovery.recover(0, [...book.slots()]);
  expect(arena.used).toBe(3);
  mailbox.push(arena, words, base, slot, item, intents);
  book.retire(slot);
  book.free(slot);
  expect(arena.used).toBe(0);
});

test('as many blocks as there are, from several hands, each once; and again when they are free', () => {
  const plan = L.createPlan({ threads: 1, maxConnections: 1, stateBytes: 0, memory: 500 * BLOCK_BYTES });
  const hands = [new Arena(plan.arena), new Arena(plan.arena), new Arena(plan.arena)];
  for (let round = 0; round < 3; round++) {
    const blocks = Array.from({ length: 500 }, (_, i) => hands[(i + round) % 3]?.take(i + 1) ?? -1);
    expect(new Set(blocks).size).toBe(500);
    expect(blocks.every(block => block >= 0)).toBe(true);
    expect(hands.map(hand => hand.take(1))).toEqual([-1, -1, -1]);
    expect(hands[0]?.used).toBe(500);
    for (const [i, block] of blocks.entries()) hands[(i * 7) % 3]?.free(block);
    expect(hands[1]?.used).toBe(0);
  }
});

test('little is touched where little is kept at a time', () => {
  const plan = L.createPlan({ threads: 1, maxConnections: 1, stateBytes: 0, memory: 64 << 20 });
  const hands = [new Arena(plan.arena), new Arena(plan.arena)];
  for (let i = 0; i < 50_000; i++) {
    const blocks = Array.from({ length: 10 }, () => hands[i % 2]?.take(1) ?? -1);
    for (const block of blocks) hands[(i >> 1) % 2]?.free(block);
  }
  expect(hands[0]?.high).toBeLessThan(200);
});

test('chains: appended, put before, read and dropped in any pieces', () => {
  const plan = L.createPlan({ threads: 1, maxConnections: 1, stateBytes: 0, memory: 1 << 20 });
  const arena = new Arena(plan.arena);
  const words = new Int32Array(8);
  const chains = new Chains(arena, words);
  let model = Buffer.alloc(0);
  let seed = 1;
  const random = (below: number): number => {
    seed = (seed * 48_271) % 0x7fff_ffff;
    return seed % below;
  };
  for (let step = 0; step < 5000; step++) {
    const bytes = Buffer.from(Array.from({ length: random(3000) }, () => random(256)));
    const act = random(4);
    if (act === 0 && model.length < 100_000) {
      expect(chains.append(0, 1, bytes, 0, bytes.length)).toBe(true);
      model = Buffer.concat([model, bytes]);
    } else if (act === 1 && model.length < 100_000) {
      expect(chains.prepend(0, 1, bytes, 0, bytes.length)).toBe(true);
      model = Buffer.concat([bytes, model]);
    } else {
      const count = Math.min(model.length, random(4000));
      chains.drop(0, count);
      model = model.subarray(count);
    }
    expect(chains.bytesOf(0)).toBe(model.length);
    const out = Buffer.alloc(model.length);
    expect(chains.peek(0, out, 0, out.length)).toBe(model.length);
    expect(out.equals(model)).toBe(true);
    expect(arena.used).toBeLessThan(4 + (3 * model.length) / BLOCK_BYTES + 40);
  }
  chains.clear(0);
  expect(arena.used).toBe(0);
  expect(words.every(word => word === 0)).toBe(true);
});
