/**
 * The loop of one thread: waits on the shared epoll instance and deals with what is ready.
 *
 * What the thread has in hand stands in shared memory, so that nothing is lost with it: events as the kernel wrote them
 * (the agenda), and registrations that it holds and is to look at again (held). While it is in a handler, a peer that finds
 * it stuck there may take both over: see position.ts.
 */
import { now } from '../../shared/clock.js';
import { EINTR, EpollError } from '../../shared/errors.js';
import { EVENT_WORDS, epollWait, isRegisteredFile, NOT_FILE, yieldCore } from '../../shared/kernel/syscalls.js';
import * as L from '../../shared/service/layout.js';
import { BatchSize } from './batch-size.js';
import type { Outbox } from './outbox.js';
import { Patience } from './patience.js';
import { Peers, type Rescuer, STUCK_MS } from './peers.js';
import { Position } from './position.js';
import { type Parts, Runner } from './runner.js';

/** After this long in one go the thread gives its event loop a turn, for timers, messages and output. */
const TURN_MS = 20;
/** For how long a thread that has found nothing leaves what comes to the others. */
const DOZE_MS = 1;
/** A batch that has taken this long is handed on, to threads that are free. */
const SLOW_MS = 1;
/** How often a thread that has found nothing gives way and looks again before it sleeps, where that pays. */
const LOOKS = 3;
/** By then it sleeps: others want its core for long. */
const LINGER_MS = 1;

export class WaitLoop {
  readonly #epfd: number;
  readonly #threads: number;
  readonly #slice: number;
  readonly #header: Int32Array;
  readonly #slots: Int32Array;
  readonly #words: Int32Array;
  readonly #position: Position;
  readonly #stats: Float64Array;
  readonly #agenda: Int32Array;
  readonly #outbox: Outbox;
  readonly #runner: Runner;
  readonly #isForMain: boolean;
  readonly #peers: Peers | undefined;
  readonly #rescuer: Rescuer;
  readonly #batch: BatchSize;
  readonly #patience = new Patience();
  readonly #turn = (): void => this.turn();
  /** Cached: the getters of process are slow. */
  readonly #output: readonly NodeJS.WriteStream[] = [process.stdout, process.stderr];
  /** The next entry of the agenda, and how many there are. */
  #next = 0;
  #count = 0;
  #now = 0;

  constructor(parts: Parts) {
    const { plan, index, epfd, outbox, handler } = parts;
    const memory = L.threadOf(plan, index);
    this.#epfd = epfd;
    this.#threads = plan.threads;
    // A bound for an owner that ends without a word; Node waits for its threads one by one.
    this.#slice = Math.max(20, Math.min(500, Math.floor(1000 / plan.threads)));
    this.#header = L.headerOf(plan);
    this.#slots = L.slotsOf(plan);
    this.#words = memory.words;
    this.#stats = memory.stats;
    this.#agenda = memory.agenda;
    this.#outbox = outbox;
    this.#batch = new BatchSize(plan.batch, handler === undefined);
    this.#position = new Position(memory.words);
    const runner = new Runner(parts, this.#position, this.#batch);
    this.#runner = runner;
    this.#isForMain = handler === undefined;
    this.#peers = plan.threads === 1 || handler === undefined ? undefined : new Peers(plan, index);
    this.#rescuer = {
      event: (slot, generation) => outbox.push(L.REARM, slot, generation),
      held: (slot, owner) => runner.seize(slot, owner),
      get room() {
        return runner.held.room;
      },
    };
  }

  /** Runs until there is a reason to let the event loop have a turn, and comes back after it. */
  turn(): void {
    this.#now = now();
    const until = this.#now + TURN_MS;
    for (;;) {
      if (!this.#work()) {
        this.#suspend();
        return;
      }
      if (this.#stopping()) {
        this.#end();
        return;
      }
      if (this.#now >= until || this.#hasOutput()) break;
      this.#wait();
      if (this.#count === 0 && this.#runner.held.length === 0) break;
    }
    this.#peers?.rescue(this.#rescuer);
    setImmediate(this.#turn);
  }

  /** One epoll_wait into the agenda. */
  #wait(): void {
    const { held } = this.#runner;
    // Each event may end up on the held list.
    const room = Math.min(this.#batch.size, held.room);
    const n = held.length > 0 ? this.#look(room) : this.#block(room);
    this.#now = now();
    this.#next = 0;
    this.#count = Math.max(0, n);
    if (n < 0 && n !== -EINTR && !this.#stopping()) throw new EpollError(n, 'epoll_wait', this.#epfd);
    this.#add(L.WAITS, 1);
    this.#add(L.EVENTS, this.#count);
  }

  #look(room: number): number {
    return room === 0 ? 0 : epollWait(this.#epfd, this.#agenda, room, 0);
  }

  #block(room: number): number {
    if (this.#isForMain && Atomics.load(this.#header, L.AWAKE) === 1) {
      // It takes what is ready itself.
      Atomics.wait(this.#header, L.AWAKE, 1, this.#slice);
    }
    if (this.#peers === undefined) return epollWait(this.#epfd, this.#agenda, room, this.#slice);
    this.#peers.observe(this.#now);
    const { isCheap, isShort } = this.#batch;
    const isPatient = isShort && this.#othersAreThere(this.#peers) && this.#patience.try();
    if (isCheap || isPatient) {
      const n = this.#linger(room, isPatient ? LOOKS : 0);
      if (n !== 0) return n;
    }
    if (isCheap && this.#othersAreThere(this.#peers)) this.#doze();
    // Back in time for what a peer has in hand when it gets stuck.
    const slice = this.#peers.areBusy ? STUCK_MS : this.#slice;
    Atomics.add(this.#header, L.IDLE, 1);
    const n = epollWait(this.#epfd, this.#agenda, room, slice);
    Atomics.sub(this.#header, L.IDLE, 1);
    return n;
  }

  /** For what comes: one that waits, or has just run something. */
  #othersAreThere(peers: Peers): boolean {
    return peers.haveMoved || Atomics.load(this.#header, L.IDLE) > 0;
  }

  /**
   * Looks before it sleeps, and `more` times again, and lets those run in between that may be about to write: often they
   * wait for this core, and to sleep and be woken costs both sides more than a look does. But one that is ready to run is
   * not woken before its turn: not where no other thread would be, and not where the core is wanted for long.
   */
  #linger(room: number, more: number): number {
    const until = this.#now + LINGER_MS;
    let looks = 1;
    let n = this.#look(room);
    for (; n === 0 && looks <= more && now() < until; looks++) {
      yieldCore();
      n = this.#look(room);
    }
    if (looks > 1) this.#patience.tried(n > 0);
    this.#add(L.WAITS, n === 0 ? looks : looks - 1); // the last one is counted by the caller
    return n;
  }

  /**
   * The kernel wakes a thread that waits for each event that comes while another is busy: where runs are cheap, waking it
   * costs more than they do. So it stays away for a moment, while another is there for what comes. A moment only, in case
   * that one's next run is slow; never do all of them.
   */
  #doze(): void {
    const header = this.#header;
    const dozing = Atomics.load(header, L.DOZING);
    if (dozing + 1 >= this.#threads) return;
    if (Atomics.compareExchange(header, L.DOZING, dozing, dozing + 1) !== dozing) return;
    Atomics.wait(header, L.STOP, 0, DOZE_MS);
    Atomics.sub(header, L.DOZING, 1);
  }

  /** Deals with the agenda, then with what is held. False: a handler's promise is pending. */
  #work(): boolean {
    const started = this.#now;
    const { runs } = this.#position;
    while (this.#next < this.#count) {
      if (this.#stopping()) return true;
      if (!this.#take(this.#next++, this.#now - started > SLOW_MS)) return false;
      this.#now = now();
      if (this.#now - started > SLOW_MS && Atomics.load(this.#header, L.IDLE) > 0) this.#handOn();
    }
    if (this.#runner.held.length > 0 && !this.#stopping() && !this.#runner.lookAgain(this.#count > 0)) return false;
    const done = (this.#position.runs - runs) | 0;
    if (done > 0) {
      this.#now = now();
      this.#batch.measured(this.#now - started, done);
      this.#add(L.BUSY, this.#now - started);
    }
    return true;
  }

  /** Entry `i` of the agenda. @param isOld it has lain there for a while. False: a handler's promise is pending. */
  #take(i: number, isOld: boolean): boolean {
    const agenda = this.#agenda;
    const at = i * EVENT_WORDS;
    const slot = agenda[at + L.AGENDA_SLOT] ?? 0;
    const generation = agenda[at + L.AGENDA_GENERATION] ?? 0;
    const mask = agenda[at] ?? 0;
    if (generation === 0) return true; // a peer has it
    // Named before it is taken: whenever this thread dies, the event is in the agenda or here.
    this.#position.hold(slot, generation, mask);
    Atomics.store(agenda, at + L.AGENDA_GENERATION, 0);
    if (slot !== L.EXIT_SLOT) {
      if (isOld && !this.#isItsFile(slot)) this.#outbox.push(L.REARM, slot, generation);
      else if (!this.#runner.dispatch(slot, generation, mask)) return false;
    }
    this.#position.clear();
    return true;
  }

  /** Whether the slot's fd still is what the kernel reported: it may have been closed since, and be another file's by now. */
  #isItsFile(slot: number): boolean {
    return isRegisteredFile(this.#epfd, Atomics.load(this.#slots, slot * L.SLOT_WORDS + L.FD)) !== NOT_FILE;
  }

  /** Waits for a handler's promise on the event loop; what else is in hand goes to threads that are free. */
  #suspend(): void {
    const since = this.#now;
    this.#position.leave();
    this.#handOn();
    this.#position.pend();
    const goOn = (failed: boolean, error?: unknown): void => {
      this.#runner.resume(failed, error);
      const took = now() - since;
      this.#batch.measured(took, 1);
      this.#add(L.BUSY, took);
      setImmediate(this.#turn);
    };
    Promise.resolve(this.#runner.promise).then(
      () => goOn(false),
      error => goOn(true, error),
    );
  }

  /** Has the registry make the kernel look again at the rest of the agenda, so that other threads can take it. */
  #handOn(): void {
    if (this.#peers === undefined) return;
    const agenda = this.#agenda;
    for (; this.#next < this.#count; this.#next++) {
      const at = this.#next * EVENT_WORDS;
      const slot = agenda[at + L.AGENDA_SLOT] ?? 0;
      const generation = agenda[at + L.AGENDA_GENERATION] ?? 0;
      // Asked for before it is dropped, in case this thread dies in between.
      if (generation !== 0 && slot !== L.EXIT_SLOT) this.#outbox.push(L.REARM, slot, generation);
      Atomics.store(agenda, at + L.AGENDA_GENERATION, 0);
    }
  }

  #add(field: number, n: number): void {
    this.#stats[field] = (this.#stats[field] ?? 0) + n;
  }

  #stopping(): boolean {
    return Atomics.load(this.#header, L.STOP) !== 0;
  }

  #hasOutput(): boolean {
    for (const stream of this.#output) if (stream.writableLength > 0) return true;
    return false;
  }

  /** Out of the loop for good; the main thread is told. */
  #end(): void {
    Atomics.store(this.#words, L.PHASE, L.PHASE_ENDED);
    this.#outbox.ring();
  }
}
