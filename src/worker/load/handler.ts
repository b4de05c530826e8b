/** The handler module of a load test: each thread's driver, made of what the main thread assigns. */

import { threadId } from 'node:worker_threads';
import { EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../shared/epoll/flags.js';
import * as B from '../../shared/load/board.js';
import { EchoFramer } from '../../shared/load/echo.js';
import type { Framer } from '../../shared/load/framer.js';
import { ResponseFramer } from '../../shared/load/http-response.js';
import { asProtocol, KEPT_BYTES, type LoadProtocol, ModuleFramer } from '../../shared/load/protocol.js';
import type { Ready } from '../service/ready.js';
import { Driver } from './driver.js';
import { Ledger } from './ledger.js';
import { ModuleWriter, SameWriter } from './writer.js';

const EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

let driver: Driver;
let current: Ready;
const expirations = new Uint8Array(8);

export async function setup(board: B.Assignment): Promise<void> {
  const protocol = board.module === undefined ? undefined : asProtocol(await import(board.module));
  if (protocol !== undefined && protocol.request === undefined && board.request.length === 0) {
    throw new TypeError('the module of the protocol exports no request(), and there is no body');
  }
  const { counts, histogram } = B.countsOf(board, B.joinBoard(board));
  counts[B.THREAD_ID] = threadId;
  const writer = protocol === undefined ? new SameWriter(board) : new ModuleWriter(board, counts, protocol);
  driver = new Driver({
    board,
    framer: framerFor(board, protocol),
    writer,
    ledger: new Ledger(board, counts, histogram, writer),
    office: {
      post: parting => current.post(parting),
      close: () => current.close(),
      register: (fd, id) => current.register(fd, { events: EVENTS, data: id + B.FIRST_DATA }),
    },
    again: () => current.modify({ events: EVENTS, data: current.data }),
  });
}

function framerFor(board: B.Assignment, protocol: LoadProtocol | undefined): Framer {
  if (board.protocol === 'http') return new ResponseFramer();
  if (protocol === undefined) return new EchoFramer(board.request.length);
  const keep = (at: number): Uint8Array =>
    new Uint8Array(board.kept, Math.floor(at / board.stride) * 2 * KEPT_BYTES, KEPT_BYTES);
  return new ModuleFramer(protocol, keep);
}

export default function handle(ready: Ready): void {
  current = ready;
  const { state } = ready;
  let data = (state[0] ?? 0) | ((state[1] ?? 0) << 8) | ((state[2] ?? 0) << 16);
  if (data === 0) {
    // The identifier is a bigint, made anew for each event that asks: asked once.
    data = Number(ready.data);
    state[0] = data;
    state[1] = data >> 8;
    state[2] = data >> 16;
  }
  if (data >= B.FIRST_DATA) {
    driver.visit(data - B.FIRST_DATA, ready.events);
  } else {
    // A timerfd starts its next interval when it is read.
    ready.read(expirations);
    driver.tick();
  }
}
