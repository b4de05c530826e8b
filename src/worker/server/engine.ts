/**
 * The runs of one thread: what is done for a connection that is ready, or was woken.
 *
 * A run takes the connection's lock (lock.ts), so it has the socket and the chains to itself, and does in this order:
 *   commands     what others have asked for: to destroy it, to look whether a time-out has passed …
 *   handshake    TLS, until that is done; then open(), once
 *   output       what the mailbox has, and what is kept, as far as the socket takes it
 *   the end      if it is ending: our end of stream once all is sent; what still comes is dropped; over with the peer's end
 *   input        unless a promise is pending, or too much output is kept: read, find messages, handle them one by one; parked if
 *                the thread has as many pending promises as may be (parking.ts)
 *   silence      if idleTimeout may have passed, and none of this has moved anything
 *
 * Only runs read, handle messages and end a connection; whoever else has its lock only sends. A connection is, by its FLAGS,
 *   new       not OPENED      SHAKING first, with TLS
 *   open      OPENED          its AWAIT says which thread has its handler's pending promise, if any
 *   ending    ENDING          no further message is handled: end(), the peer's end, an error that the peer is told of, the server's close()
 *   doomed    DOOMED          it ends as soon as a run can: destroy(), a broken socket, a limit
 *   ended     ENDED           its socket is not touched any more; the main thread knows
 *   done      CLOSE_CALLED    after the last promise; the main thread may use its slot again
 * and never goes back. ENDED is set by a run under the lock, once; close() follows in the same run, or, if a promise is pending, in
 * the run that its end asks for. A thread that dies leaves its owner number in LOCK or in AWAIT: the main thread finds it there
 * and has another thread end the connection (COMMAND_THREAD).
 */
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../shared/epoll/flags.js';
import { Arena } from '../../shared/server/arena.js';
import * as L from '../../shared/server/layout.js';
import * as lock from '../../shared/server/lock.js';
import { type CloseReason, codeOfReason } from '../../shared/server/reasons.js';
import { report } from '../../shared/server/report.js';
import { packError } from '../../shared/service/error-transfer.js';
import type { ThreadServices } from '../service/handler.js';
import { Connections } from './connections.js';
import { Correspondence } from './correspondence.js';
import { Ends } from './ends.js';
import { Flags } from './flags.js';
import { Handshakes } from './handshakes.js';
import { Messages } from './messages.js';
import type { LoadedModule } from './module.js';
import { Parking } from './parking.js';
import { Reader } from './reader.js';
import { Senders } from './senders.js';
import type { ServerTask, WakeThread } from './thread-setup.js';
import { Wire } from './wire.js';

const INPUT_EVENTS = EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP;
const HANGING_EVENTS = EPOLLRDHUP | EPOLLERR | EPOLLHUP;
const OUTPUT_EVENTS = EPOLLOUT | EPOLLERR | EPOLLHUP;
const CAUSES: Readonly<Record<number, CloseReason>> = {
  [lock.DESTROYED]: 'destroyed',
  [lock.TOO_SLOW]: 'too-slow',
  [lock.NO_MEMORY]: 'memory',
};

export class Engine {
  readonly #task: ServerTask;
  readonly #memory: L.ServerMemory;
  readonly #words: Int32Array;
  readonly #header: Int32Array;
  readonly #owner: number;
  readonly #module: LoadedModule;
  readonly #wire: Wire;
  readonly #flags: Flags;
  readonly #senders: Senders;
  readonly #handshakes: Handshakes;
  readonly #ends: Ends;
  readonly #messages: Messages;
  readonly #parking: Parking;
  readonly #correspondence: Correspondence;
  readonly #wake: WakeThread;
  readonly #connections: Connections;
  /** Whether the connection is to have another run, after the others had their turn. */
  #again = false;
  /** It was parked, and it is its turn. */
  #isAdmitted = false;

  constructor(task: ServerTask, module: LoadedModule, thread: ThreadServices) {
    const { plan, maxMessage, maxOutput } = task;
    const { index } = thread;
    const memory = L.memoryOf(plan);
    const { words } = memory;
    const counts = memory.threads[index]?.counts ?? new Float64Array(8);
    const arena = new Arena(plan.arena);
    const wake = (slot: number): boolean => {
      const id = L.loadRegistration(words, L.baseOf(slot));
      // Not known yet: its first run is still to come.
      return id >= 0 && thread.wake(id);
    };
    const parking = new Parking(memory, index, wake);
    const flags = new Flags(words);
    const wire = new Wire({ memory, counts, arena, maxOutput });
    const senders = new Senders({ memory, arena, wire, index, maxOutput, wake });
    const reader = new Reader(words, arena, wire, maxMessage);
    const correspondence = new Correspondence(task, memory, arena, wire, senders, thread, wake);
    const handshakes = new Handshakes(memory, wire, flags);
    const connections = new Connections(correspondence);
    const ends = new Ends({ task, memory, module, wire, reader, flags, handshakes, correspondence, connections });
    const parts = {
      task,
      memory,
      counts,
      module,
      thread,
      parking,
      wire,
      reader,
      flags,
      ends,
      correspondence,
      connections,
      wake,
    };
    this.#messages = new Messages(parts);
    this.#parking = parking;
    this.#task = task;
    this.#memory = memory;
    this.#words = words;
    this.#header = memory.header;
    this.#owner = index + 1;
    this.#module = module;
    this.#wire = wire;
    this.#flags = flags;
    this.#senders = senders;
    this.#handshakes = handshakes;
    this.#ends = ends;
    this.#correspondence = correspondence;
    this.#connections = connections;
    this.#wake = wake;
  }

  /** The thread serves from now on. */
  begin(): void {
    this.#parking.emptied();
    this.#parking.admit();
  }

  /** Whether it is to do runs though it has as many pending promises as may be: nobody else does them. */
  get mayGoOnFull(): boolean {
    return this.#parking.areAllFull;
  }

  /** One run. @param registration its id with the service @param events the mask that the kernel gave, 0 if it was woken */
  visit(slot: number, registration: number, events: number): void {
    this.#visit(slot, registration, events);
    this.#parking.admit();
  }

  #visit(slot: number, registration: number, events: number): void {
    const words = this.#words;
    const base = L.baseOf(slot);
    const generation = Atomics.load(words, base + L.GENERATION);
    if (generation === 0) return;
    if (L.loadRegistration(words, base) < 0) L.storeRegistration(words, base, registration);
    if (events !== 0) Atomics.or(words, base + L.EVENTS, events);
    if (lock.take(words, base, generation, this.#owner, lock.RUN, true) !== lock.TAKEN) return;
    this.#correspondence.enter(slot, generation);
    this.#again = false;
    try {
      this.#run(base, slot, generation);
    } catch (error) {
      this.#broke(base, slot, generation, error);
    }
    this.#correspondence.leave();
    this.#wire.countWire(base);
    this.#senders.letGo(base, slot, generation, this.#flags.of(base));
    if (this.#again) this.#wake(slot);
  }

  #run(base: number, slot: number, generation: number): void {
    const words = this.#words;
    this.#note(base, Atomics.exchange(words, base + L.EVENTS, 0));
    if ((this.#flags.of(base) & L.ENDED) === 0) {
      const commands = Atomics.exchange(words, base + L.COMMANDS, 0);
      this.#isAdmitted = (commands & L.COMMAND_ADMIT) !== 0;
      const isSilent = (commands & L.COMMAND_IDLE) !== 0 && !this.#waitsForUs(base);
      this.#obey(base, slot, commands, isSilent);
      if (this.#isReady(base, slot, generation)) this.#serve(base, slot, generation, isSilent);
      if ((this.#flags.of(base) & L.DOOMED) !== 0) this.#ends.finish(base, slot, 'reset');
    }
    if ((this.#flags.of(base) & L.ENDED) !== 0) this.#ends.close(base, slot, generation);
  }

  /** A fault of this package's own: that connection ends, and no other. */
  #broke(base: number, slot: number, generation: number, error: unknown): void {
    this.#correspondence.failed(L.idOf(slot, generation), packError(error));
    this.#wire.doom(base, 'handler');
    if ((this.#flags.of(base) & L.ENDED) === 0) this.#ends.finish(base, slot, 'handler');
    this.#ends.close(base, slot, generation);
  }

  /** What the kernel has said. */
  #note(base: number, events: number): void {
    if (events === 0) return;
    let flags = this.#flags.of(base);
    if (events & INPUT_EVENTS) flags |= L.READABLE;
    if (events & HANGING_EVENTS) flags |= L.HANGING;
    if (events & EPOLLERR) flags |= L.ERROR;
    if (events & OUTPUT_EVENTS) flags &= ~L.BLOCKED;
    // A session may wait for the other direction than the one that is asked of it.
    if (this.#task.tls) flags = (flags | L.READABLE) & ~L.BLOCKED;
    this.#words[base + L.FLAGS] = flags;
  }

  /** What others have asked for. */
  #obey(base: number, slot: number, commands: number, isSilent: boolean): void {
    if (commands & L.COMMAND_THREAD) this.#wire.doom(base, 'thread');
    const cause = lock.causeOf(this.#words, base);
    if (cause !== 0) this.#wire.doom(base, CAUSES[cause] ?? 'destroyed');
    if (commands === 0 || (this.#flags.of(base) & L.DOOMED) !== 0) return;
    if (commands & L.COMMAND_FAILED) this.#ends.endFor(base, slot, 'handler');
    if (commands & L.COMMAND_LATE) this.#ends.late(base);
    if (!isSilent) return;
    // What has come, or can go, and waits for a thread is no silence: it is tried whatever the kernel has said so far.
    const isTried = this.#hasRoom ? L.READABLE : 0;
    this.#words[base + L.FLAGS] = (this.#flags.of(base) | isTried) & ~L.BLOCKED;
  }

  /** Whether it has sent what was not read yet, and not for want of room for answers: this run reads it, or parks it. */
  #waitsForUs(base: number): boolean {
    const words = this.#words;
    if (Atomics.load(words, base + L.AWAIT) !== 0 || this.#wire.kept(base) > this.#task.highWaterMark) return false;
    return this.#messages.hasInput(base);
  }

  /** Handshake and open(). Whether it is open, or was. */
  #isReady(base: number, slot: number, generation: number): boolean {
    const flags = this.#flags.of(base);
    if ((flags & L.DOOMED) !== 0) return false;
    if ((flags & L.OPENED) !== 0) return true;
    if (Atomics.load(this.#header, L.CLOSING) !== 0) {
      this.#wire.doom(base, 'server');
      return false;
    }
    if ((flags & L.SHAKING) !== 0) {
      if (!this.#handshakes.go(base)) return false;
      report(this.#memory, this.#task.bell, slot, L.REPORT_OPENED);
    }
    this.#flags.set(base, L.OPENED);
    const { open } = this.#module;
    if (open === undefined) return true;
    const connection = this.#connections.of(slot, generation);
    try {
      this.#correspondence.watch(open(connection), connection.id);
    } catch (error) {
      this.#correspondence.failed(connection.id, packError(error));
      this.#ends.endFor(base, slot, 'handler');
    }
    return (this.#flags.of(base) & L.DOOMED) === 0;
  }

  /** Output, the end, input. @param isSilent whether idleTimeout may have passed: it has if nothing moves now */
  #serve(base: number, slot: number, generation: number, isSilent: boolean): void {
    const words = this.#words;
    // Before the mailbox is looked at: what a promise has sent is there when it has settled, and goes before the next answer.
    const waits = Atomics.load(words, base + L.AWAIT) !== 0;
    this.#wire.drain(base, slot, generation);
    if (!this.#wire.flush(base)) return;
    const isPaused = waits || this.#wire.kept(base) > this.#task.highWaterMark;
    const isParked = !isPaused && this.#isParked(base);
    if ((this.#flags.of(base) & L.ERROR) !== 0 && (isPaused || isParked)) {
      this.#wire.doom(base, 'reset');
      return;
    }
    if (!waits && Atomics.load(this.#header, L.CLOSING) !== 0 && (this.#flags.of(base) & L.ENDING) === 0) {
      words[base + L.REASON] = codeOfReason('server');
      this.#ends.endSoon(base, slot);
    }
    if ((this.#flags.of(base) & L.ENDING) === 0 && !isPaused) {
      // If it is parked, somebody else may have room: `visit` looks, at the end.
      if (isParked) this.#parking.park(slot, this.#isAdmitted);
      else this.#again = this.#messages.take(base, slot, generation);
    }
    if (isSilent) this.#ends.idle(base, slot);
    if ((this.#flags.of(base) & (L.ENDING | L.DOOMED)) !== L.ENDING) return;
    if (this.#ends.linger(base, slot, generation)) this.#again = true;
  }

  /** Whether its input waits: for room, or for others that were there before it. */
  #isParked(base: number): boolean {
    return !this.#hasRoom && this.#messages.hasInput(base);
  }

  /** Whether this run may begin a message. */
  get #hasRoom(): boolean {
    return !this.#messages.isFull && (this.#isAdmitted || this.#parking.isEmpty);
  }
}
