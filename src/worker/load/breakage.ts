/** What becomes of a connection that cannot be used any more: its record is put in order, and the main thread is told. */
import { EpollError } from '../../shared/errors.js';
import * as B from '../../shared/load/board.js';
import { ResponseFramer } from '../../shared/load/http-response.js';
import { writeOff } from '../../shared/load/write-off.js';

export class Breakage {
  readonly #board: B.Assignment;
  readonly #part: (parting: B.Parting) => void;

  constructor(board: B.Assignment, part: (parting: B.Parting) => void) {
    this.#board = board;
    this.#part = part;
  }

  /** A read or a write failed. */
  broken(at: number, code: number): false {
    const { records } = this.#board;
    // A reset between two requests is as good as an end.
    if (records[at + B.UNDER_WAY] === 0) return this.parted(at);
    // What came before the reset may have been a whole body that only the connection's end ends; it was cut all the same.
    return this.#lose(at, 'reset', new EpollError(code, 'read').code);
  }

  /** The server has ended the connection. */
  closed(at: number): false {
    return this.#board.records[at + B.UNDER_WAY] === 0 ? this.parted(at) : this.#lose(at, 'reset', 'closed');
  }

  /** What came is no response, or none that was asked for. */
  garbage(at: number, problem: string): false {
    return this.#lose(at, 'protocol', problem);
  }

  /** The server closes in good order: what was sent behind its last response, is sent again on the next connection. */
  parted(at: number): false {
    const { records } = this.#board;
    records[at + B.UNWRITTEN] = records[at + B.UNDER_WAY] ?? 0;
    return this.#done(at, { kind: '', detail: '', lost: 0, counted: 0 });
  }

  #lose(at: number, kind: 'reset' | 'protocol', detail: string): false {
    return this.#done(at, { kind, detail: `${kind} ${detail}`, ...writeOff(this.#board, at) });
  }

  #done(at: number, what: Omit<B.Parting, 'id' | 'epoch'>): false {
    const { records, stride } = this.#board;
    records[at + B.WRITTEN] = 0;
    ResponseFramer.reset(records, at + B.FRAMING);
    records[at + B.STATE] = B.DONE;
    this.#part({ id: at / stride, epoch: records[at + B.EPOCH] ?? 0, ...what });
    return false;
  }
}
