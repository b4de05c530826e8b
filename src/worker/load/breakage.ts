/** What becomes of a connection that cannot be used any more: its record is put in order, and it is opened again. */
import * as B from '../../shared/load/board.js';
import { ResponseFramer } from '../../shared/load/http-response.js';
import { wordsFor } from '../../shared/load/problems.js';
import type { Dialer } from './dialer.js';
import type { Ledger } from './ledger.js';

export class Breakage {
  readonly #board: B.Assignment;
  readonly #records: Float64Array;
  readonly #ledger: Ledger;
  readonly #dialer: Dialer;

  constructor(board: B.Assignment, ledger: Ledger, dialer: Dialer) {
    this.#board = board;
    this.#records = board.records;
    this.#ledger = ledger;
    this.#dialer = dialer;
  }

  /** A read or a write failed. @param reason the name of an errno, or OpenSSL's words */
  broken(at: number, reason: string): false {
    // What came before the reset may have been a whole body that only the connection's end ends; it was cut all the same.
    return this.#over(at, reason, reason === 'ECONNRESET' || reason === 'EPIPE');
  }

  /** The server has ended the connection. */
  closed(at: number): false {
    return this.#over(at, 'closed before the response', true);
  }

  /** @param closed by the server; a TLS session that fails is not what a request is expected to meet on its way */
  #over(at: number, detail: string, closed: boolean): false {
    const records = this.#records;
    // A reset between two requests is as good as an end.
    if (records[at + B.UNDER_WAY] === 0) return this.idle(at);
    // It closed a connection that it had kept open; the request crossed that on its way.
    if (
      closed &&
      records[at + B.SERVED] === 1 &&
      !ResponseFramer.partial(records, at + B.FRAMING) &&
      this.#ledger.isRepeatable(at)
    ) {
      return this.refused(at);
    }
    return this.#lose(at, 'reset', detail);
  }

  /** The server was about to close when the requests came that are under way: they are sent once more, on another. */
  refused(at: number): false {
    this.#ledger.again(at);
    this.#records[at + B.RETRIED] = this.#records[at + B.UNDER_WAY] ?? 0;
    return this.#end(at, false);
  }

  /** What came is no response, or none that was asked for. */
  garbage(at: number, problem: string): false {
    return this.#lose(at, 'protocol', wordsFor(problem));
  }

  /** The connection has closed in good order: what is under way is sent on the next. */
  parted(at: number): false {
    return this.#end(at, false);
  }

  /** The server has closed a connection on which nothing was under way. */
  idle(at: number): false {
    const records = this.#records;
    const { schedule, times } = this.#board;
    // A closed loop sends at once: a connection that ends without a request was closed in its face, and that is an error.
    if (schedule !== undefined || records[at + B.SERVED] === 1 || records[at + B.EARLY] === 1)
      return this.#end(at, true);
    const now = this.#dialer.now();
    if (now < (times[B.COUNT_FROM] ?? 0) || now >= (times[B.END] ?? 0)) return this.#end(at, true);
    this.#tidy(at);
    const todo = this.#dialer.replace(at, false, false);
    const detail = 'reset closed before a request was sent';
    this.#dialer.post({ id: at / this.#board.stride, kind: 'reset', detail, lost: 0, counted: 0, stands: true, todo });
    return false;
  }

  #lose(at: number, kind: 'reset' | 'protocol', detail: string): false {
    const records = this.#records;
    const lost = records[at + B.UNDER_WAY] ?? 0;
    // Bytes that nobody asked for are an error too.
    const alone = this.#dialer.now() >= (this.#board.times[B.COUNT_FROM] ?? 0) ? 1 : 0;
    const counted = lost === 0 ? alone : B.countedOf(this.#board, at, lost);
    B.fault(this.#board, counted, this.#dialer.now());
    records[at + B.UNDER_WAY] = 0;
    records[at + B.UNWRITTEN] = 0;
    records[at + B.RETRIED] = 0;
    this.#tidy(at);
    const todo = this.#dialer.replace(at, false, false);
    const id = at / this.#board.stride;
    this.#dialer.post({ id, kind, detail: `${kind} ${detail}`, lost, counted, stands: false, todo });
    return false;
  }

  #end(at: number, idle: boolean): false {
    this.#tidy(at);
    const todo = this.#dialer.replace(at, true, idle);
    if (todo === B.NOTHING) return false;
    const id = at / this.#board.stride;
    this.#dialer.post({ id, kind: '', detail: '', lost: 0, counted: 0, stands: false, todo });
    return false;
  }

  #tidy(at: number): void {
    this.#records[at + B.WRITTEN] = 0;
    this.#records[at + B.UNREAD] = 0;
    ResponseFramer.reset(this.#records, at + B.FRAMING);
  }
}
