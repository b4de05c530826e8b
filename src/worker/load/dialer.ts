/** Opens connections again, in the thread that has seen them end: the main thread only has to register them. */
import { EMFILE, ENFILE, EpollError } from '../../shared/errors.js';
import * as sockets from '../../shared/kernel/sockets.js';
import { close, pollNow } from '../../shared/kernel/syscalls.js';
import * as B from '../../shared/load/board.js';
import { clock } from '../../shared/load/clock.js';
import { Schedule } from '../../shared/load/schedule.js';
import { READY, REFUSED, type Wire } from './wire.js';

/** What the running handler can ask for. */
export interface Office {
  post(parting: B.Parting): void;
  /** Of the registration that runs. */
  close(): void;
  register(fd: number, id: number): void;
}

/** Of shutdown(2). */
const WRITING = 1;

export class Dialer {
  readonly #board: B.Assignment;
  readonly #records: Float64Array;
  readonly #counts: Float64Array;
  readonly #wire: Wire;
  readonly #office: Office;
  readonly #schedule: Schedule | undefined;
  /** Sends on a connection that was open at once. */
  readonly #send: (at: number) => void;
  #sockaddr: Uint8Array | undefined;
  /** Whether a socket can be connected anew: TCP can, unless a sandbox forbids it. */
  #reuses: boolean;
  /** The connection whose registration runs. */
  own = -1;

  constructor(board: B.Assignment, wire: Wire, counts: Float64Array, office: Office, send: (at: number) => void) {
    this.#wire = wire;
    this.#board = board;
    this.#records = board.records;
    this.#counts = counts;
    this.#office = office;
    this.#send = send;
    this.#schedule = board.schedule && new Schedule(board.schedule);
    this.#reuses = true;
  }

  now(): number {
    return clock();
  }

  post(parting: B.Parting): void {
    this.#office.post(parting);
  }

  /**
   * A connection has ended: closes it, and opens it again if it is needed.
   *
   * @param inOrder it is no failure @param idle nothing was asked of it: it is opened when something is
   * @returns what is left to the main thread
   */
  replace(at: number, inOrder: boolean, idle: boolean): B.Parting['todo'] {
    const records = this.#records;
    const id = at / this.#board.stride;
    const { gates, answered, schedule } = this.#board;
    // What is sent again may say that it is the last.
    if (records[at + B.UNDER_WAY] === 0) records[at + B.LAST_BEGUN] = 0;
    if (Atomics.compareExchange(gates, id, B.ANY_THREAD, B.ONE_THREAD) !== B.ANY_THREAD) {
      // The main thread is about to close it.
      records[at + B.STATE] = B.DONE;
      return B.NOTHING;
    }
    // Failures of a server that has never answered anything are for the main thread, which makes pauses.
    if ((!inOrder && Atomics.load(answered, 0) === 0) || !this.#disconnect(id, at)) {
      records[at + B.STATE] = B.DONE;
      Atomics.store(gates, id, B.MAIN_THREAD);
      return B.TO_CLOSE;
    }
    records[at + B.STATE] = B.CLOSED;
    const waits = idle && schedule !== undefined && records[at + B.QUEUED] === 1;
    if (!waits && this.#isNeeded(at)) this.#dial(id, at);
    else Atomics.store(gates, id, B.ANY_THREAD);
    return B.NOTHING;
  }

  /** The gate is this thread's. False: it is for the main thread to close. */
  #disconnect(id: number, at: number): boolean {
    const fd = this.#records[at + B.FD] ?? -1;
    this.#wire.release(at);
    if (this.#reuses && !isUnix(this.#address())) {
      // The end of stream first, or the server would take it for a reset.
      sockets.shutdown(fd, WRITING);
      if (sockets.disconnect(fd) === 0) return true;
      this.#reuses = false;
    }
    if (this.own !== id) return false;
    this.#office.close();
    this.own = -1;
    this.#records[at + B.FD] = -1;
    return true;
  }

  /** Ends this side of a connection; false: there is no need to wait for the other's end. */
  leave(at: number): boolean {
    if (!this.#reuses || isUnix(this.#address())) return false;
    const records = this.#records;
    this.#wire.farewell(at);
    sockets.shutdown(records[at + B.FD] ?? -1, WRITING);
    records[at + B.STATE] = B.LEAVING;
    records[at + B.SINCE] = clock();
    return true;
  }

  /** Opens a connection that is closed, if the main thread is not about to. */
  open(id: number, at: number): void {
    const { gates } = this.#board;
    if (Atomics.compareExchange(gates, id, B.ANY_THREAD, B.ONE_THREAD) === B.ANY_THREAD) this.#dial(id, at);
  }

  /** Whether the connection that is being opened is open. An event may still be the one before it's. */
  isOpen(id: number, at: number): boolean {
    const records = this.#records;
    const fd = records[at + B.FD] ?? -1;
    if (records[at + B.STATE] === B.CONNECTING) {
      const ready = readiness(fd);
      if (ready === 0) return false;
      const code = ready === POLLOUT ? 0 : sockets.takeError(fd);
      if (code !== 0) {
        this.#refuse(id, at, new EpollError(code, 'connect').code);
        return false;
      }
    }
    const outcome = this.#shake(at);
    if (outcome === REFUSED) this.#refuse(id, at, this.#wire.reason(0));
    return outcome === READY;
  }

  /** The socket is connected. */
  #shake(at: number): ReturnType<Wire['open']> {
    this.#records[at + B.STATE] = B.SHAKING;
    const outcome = this.#wire.open(at);
    if (outcome === READY) this.#opened(at);
    return outcome;
  }

  #isNeeded(at: number): boolean {
    if ((this.#records[at + B.UNDER_WAY] ?? 0) > 0) return true;
    if (B.isSpent(this.#board)) return false;
    const { times } = this.#board;
    const now = clock();
    return now < (times[B.END] ?? 0) || (now < (times[B.DEADLINE] ?? 0) && (this.#schedule?.left ?? 0) > 0);
  }

  /** The gate is this thread's. */
  #dial(id: number, at: number): void {
    const records = this.#records;
    const { gates } = this.#board;
    const isNew = records[at + B.FD] === -1;
    const fd = isNew ? this.#connectNew(id, at) : this.#connectAgain(id, at);
    if (fd < 0) return;
    records[at + B.FD] = fd;
    records[at + B.SERVED] = 0;
    records[at + B.EARLY] = 0;
    records[at + B.DOOMED] = 0;
    records[at + B.SINCE] = clock();
    records[at + B.STATE] = B.CONNECTING;
    // Over the loopback it is open by now: the request need not wait for the event.
    // A handshake that fails at once fails again when the event comes, and is reported then.
    if (readiness(fd) === POLLOUT && this.#shake(at) === READY) this.#send(at);
    Atomics.store(gates, id, B.ANY_THREAD);
    // Only now may another thread meet it: one that found the gate taken would leave the connection to the main thread.
    if (isNew) this.#office.register(fd, id);
  }

  #connectNew(id: number, at: number): number {
    const address = this.#address();
    const fd = sockets.streamSocket(
      isUnix(address) ? sockets.AF_UNIX : address[0] === sockets.AF_INET ? sockets.AF_INET : sockets.AF_INET6,
    );
    const code = fd < 0 ? fd : sockets.connect(fd, address);
    if (code >= 0) {
      if (!isUnix(address)) sockets.setNoDelay(fd);
      return fd;
    }
    if (fd >= 0) close(fd);
    this.#records[at + B.STATE] = B.CLOSED;
    // Sockets that are being closed may be what is in the way: the main thread looks after a while.
    if (code === -EMFILE || code === -ENFILE) this.#handOver(id, at, '', '');
    else this.#handOver(id, at, 'connect', new EpollError(code, 'connect').code);
    return -1;
  }

  #connectAgain(id: number, at: number): number {
    const fd = this.#records[at + B.FD] ?? -1;
    const code = sockets.connect(fd, this.#address());
    if (code === 0) return fd;
    this.#records[at + B.STATE] = B.DONE;
    this.#handOver(id, at, 'connect', new EpollError(code, 'connect').code);
    return -1;
  }

  #address(): Uint8Array {
    this.#sockaddr ??= B.addressOf(this.#board);
    return this.#sockaddr;
  }

  #opened(at: number): void {
    this.#records[at + B.STATE] = B.OPEN;
    this.#counts[B.OPENED] = clock();
  }

  /** It has a registration, whose handler may be running. */
  #refuse(id: number, at: number, code: string): void {
    const records = this.#records;
    const { gates } = this.#board;
    records[at + B.STATE] = B.DONE;
    if (Atomics.compareExchange(gates, id, B.ANY_THREAD, B.ONE_THREAD) !== B.ANY_THREAD) return;
    this.#wire.release(at);
    if (this.own === id) {
      this.#office.close();
      this.own = -1;
      records[at + B.STATE] = B.CLOSED;
      records[at + B.FD] = -1;
    }
    this.#handOver(id, at, 'connect', code);
  }

  /** What was to be sent on it fails with it. */
  #handOver(id: number, at: number, kind: '' | 'connect', code: string): void {
    const records = this.#records;
    const todo = records[at + B.STATE] === B.DONE ? B.TO_CLOSE : B.TO_OPEN;
    const lost = kind === '' ? 0 : (records[at + B.UNDER_WAY] ?? 0);
    const counted = B.countedOf(this.#board, at, lost);
    if (lost > 0) {
      B.fault(this.#board, counted, clock());
      records[at + B.UNDER_WAY] = 0;
      records[at + B.UNWRITTEN] = 0;
      records[at + B.RETRIED] = 0;
      records[at + B.LAST_BEGUN] = 0;
    }
    Atomics.store(this.#board.gates, id, B.MAIN_THREAD);
    const detail = kind === '' ? '' : `connect ${code}`;
    this.#office.post({ id, kind, detail, lost, counted, stands: kind !== '' && lost === 0, todo });
  }
}

const POLLOUT = 4;
/** struct pollfd: the fd, then events and revents. */
const pollfd = new Int32Array(2);
const pollShorts = new Int16Array(pollfd.buffer);

/** POLLOUT: connected; 0: not yet; anything else: failed, or ended already. */
function readiness(fd: number): number {
  pollfd[0] = fd;
  pollShorts[2] = POLLOUT;
  return pollNow(pollfd, 1) === 1 ? (pollShorts[3] ?? 0) : 0;
}

/** A struct sockaddr begins with its family. */
function isUnix(address: Uint8Array): boolean {
  return address[0] === sockets.AF_UNIX;
}
