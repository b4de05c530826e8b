/**
 * What a dead thread had of a server: connections whose lock it held, promises that were pending in it, blocks of the arena. The
 * thread has ended: it writes nothing any more; all others go on meanwhile.
 *
 * A connection whose lock it held ends ('thread'): its socket may have taken a part of something. The main thread takes the lock
 * over, frees the connection's blocks by their tags (its chains may be torn), and lets another thread end it. One whose promise it
 * had ends, too; its chains are whole.
 *
 * Blocks that it was filling for a mailbox have its tag. Of one item nobody can tell at once whether it was pushed: the one that its
 * INTENT names. Its blocks have the mailbox's tag, as have those in the mailbox, and those that other threads are about to push. So,
 * with the lock of that connection: the blocks of that tag are noted first; then those are left out which another thread's INTENT
 * names (a thread that has pushed since has cleared it); then the mailbox is emptied as any holder of the lock does it, so that what is
 * in there has other tags. What still has the tag, of those that were noted, is nobody's.
 */
import * as A from '../../shared/server/arena.js';
import { BYTES, Chains } from '../../shared/server/chain.js';
import * as L from '../../shared/server/layout.js';
import * as lock from '../../shared/server/lock.js';
import * as mailbox from '../../shared/server/mailbox.js';
import { RunQueue } from '../../shared/service/run-queue.js';

export interface RecoveryParts {
  readonly memory: L.ServerMemory;
  readonly arena: A.Arena;
  /** Has a connection run. */
  readonly wake: (slot: number) => void;
  /** The connection has ended, and its close() was called, or is not to be called. */
  readonly done: (slot: number) => void;
  /** Calls back in a moment. */
  readonly later: (call: () => void) => void;
}

export class Recovery {
  readonly #parts: RecoveryParts;
  readonly #words: Int32Array;
  readonly #chains: Chains;
  readonly #parked: readonly RunQueue[];

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
    this.#words = parts.memory.words;
    const { parked, first, slots, header } = parts.memory;
    this.#parked = [
      new RunQueue(first, slots, header, L.FIRST_FROM),
      new RunQueue(parked, slots, header, L.PARKED_FROM),
    ];
    this.#chains = new Chains(parts.arena, parts.memory.words);
  }

  /** @param index the dead thread's @param slots of all connections */
  recover(index: number, slots: Iterable<number>): void {
    const owner = index + 1;
    const words = this.#words;
    const intents = this.#parts.memory.threads[index]?.words;
    // Whose peers are full goes on, until the successor begins (worker/server/parking.ts).
    if (intents !== undefined) Atomics.store(intents, L.IS_FULL, 1);
    const target = intents !== undefined && intents[L.INTENT] !== 0 ? (intents[L.INTENT_SLOT] ?? -1) : -1;
    for (const slot of slots) {
      const base = L.baseOf(slot);
      const isHeld = lock.seize(words, base, owner, L.MAIN);
      const waits = Atomics.compareExchange(words, base + L.AWAIT, owner, 0) === owner;
      if (isHeld) this.#takeOver(slot, base);
      if (waits) Atomics.or(words, base + L.COMMANDS, L.COMMAND_THREAD);
      // It may have been about to wake one that was parked.
      if (isHeld || waits || this.#hasInput(base)) this.#parts.wake(slot);
    }
    for (const queue of this.#parked) queue.mend();
    this.#freeTagged(A.SENDER | owner);
    if (intents !== undefined) Atomics.store(intents, L.INTENT, 0);
    if (target >= 0) this.#settleIntent(target, owner);
  }

  #hasInput(base: number): boolean {
    const words = this.#words;
    return (
      (words[base + L.BACKLOG + BYTES] ?? 0) > 0 || ((words[base + L.FLAGS] ?? 0) & (L.READABLE | L.PEER_ENDED)) !== 0
    );
  }

  /** A connection whose lock the main thread has now. */
  #takeOver(slot: number, base: number): void {
    const words = this.#words;
    for (const at of [L.INPUT, L.BACKLOG, L.OUTPUT]) words.fill(0, base + at, base + at + 4);
    words[base + L.EPOCH] = ((words[base + L.EPOCH] ?? 0) + 1) | 0;
    this.#freeTagged(slot + 1);
    const flags = words[base + L.FLAGS] ?? 0;
    if ((flags & L.ENDED) === 0) Atomics.or(words, base + L.COMMANDS, L.COMMAND_THREAD);
    else if ((flags & L.CLOSE_CALLED) !== 0) this.#parts.done(slot);
    this.#sortMail(slot, base, false);
    this.#letGo(slot, base, false);
  }

  #freeTagged(tag: number): void {
    const { arena } = this.#parts;
    for (let block = arena.high - 1; block >= 0; block--) if (arena.tagOf(block) === tag) arena.free(block);
  }

  /** The item that the dead thread was about to push, if it did not. */
  #settleIntent(slot: number, owner: number): void {
    const words = this.#words;
    const base = L.baseOf(slot);
    const generation = Atomics.load(words, base + L.GENERATION);
    const verdict = generation === 0 ? lock.GONE : lock.take(words, base, generation, L.MAIN, 0, true);
    if (verdict === lock.HELD) {
      this.#parts.later(() => this.#settleIntent(slot, owner));
      return;
    }
    const isThere = verdict === lock.TAKEN && ((words[base + L.FLAGS] ?? 0) & L.ENDED) === 0;
    this.#sortMail(slot, base, isThere);
    if (verdict !== lock.TAKEN) return;
    this.#letGo(slot, base, isThere);
    this.#parts.wake(slot);
  }

  /** Takes what is in the mailbox, and frees what has its tag and is in nobody's hands. @param deliver behind the output, or drops it */
  #sortMail(slot: number, base: number, deliver: boolean): void {
    const { arena, memory } = this.#parts;
    const tag = A.MAILED | slot;
    const noted = new Set<number>();
    for (let block = arena.high - 1; block >= 0; block--) if (arena.tagOf(block) === tag) noted.add(block);
    for (const { words } of memory.threads) {
      const item = Atomics.load(words, L.INTENT) - 1;
      if (item < 0 || Atomics.load(words, L.INTENT_SLOT) !== slot) continue;
      for (let block = item; block >= 0; block = arena.nextOf(block)) if (!noted.delete(block)) break;
    }
    this.#empty(slot, base, deliver);
    for (const block of noted) if (arena.tagOf(block) === tag) arena.free(block);
  }

  /** Takes what is in the mailbox. */
  #empty(slot: number, base: number, deliver: boolean): void {
    const { arena } = this.#parts;
    const words = this.#words;
    const generation = Atomics.load(words, base + L.GENERATION);
    for (let item = mailbox.takeAll(arena, words, base); item >= 0; ) {
      const next = mailbox.after(arena, item);
      const at = item * A.BLOCK_WORDS;
      if (!deliver || arena.meta[at + A.ITEM_GENERATION] !== generation) {
        mailbox.drop(arena, item);
      } else {
        if (arena.meta[at + A.KIND] === mailbox.LAST) words[base + L.FLAGS] = (words[base + L.FLAGS] ?? 0) | L.ENDING;
        if (arena.meta[at + A.ITEM_BYTES] === 0) {
          mailbox.drop(arena, item);
        } else {
          mailbox.accept(arena, item, slot + 1);
          this.#chains.splice(base + L.OUTPUT, item);
        }
      }
      item = next;
    }
  }

  #letGo(slot: number, base: number, deliver: boolean): void {
    for (;;) {
      const verdict = lock.letGo(this.#words, base);
      if (verdict !== lock.LOOK) return;
      this.#empty(slot, base, deliver);
    }
  }
}
