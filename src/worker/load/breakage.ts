/** What becomes of a connection that cannot be used any more: its record is put in order, and the main thread is told. */
import { EpollError } from '../../shared/errors.js';
import * as B from '../../shared/load/board.js';
import { ResponseFramer } from '../../shared/load/http-response.js';

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
    const { records, pipelining, times } = this.#board;
    const lost = records[at + B.UNDER_WAY] ?? 0;
    let counted = 0;
    for (let i = 0; i < lost; i++) {
      const place = ((records[at + B.OLDEST] ?? 0) + i) % pipelining;
      if ((records[at + B.RING + 2 * place] ?? 0) >= (times[B.COUNT_FROM] ?? 0)) counted++;
    }
    records[at + B.UNDER_WAY] = 0;
    records[at + B.UNWRITTEN] = 0;
    return this.#done(at, { kind, detail: `${kind} ${detail}`, lost, counted });
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
