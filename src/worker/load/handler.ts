/** The handler module of a load test: each thread's driver, made of what the main thread assigns. */

import { threadId } from 'node:worker_threads';
import { EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../shared/epoll/flags.js';
import { importUrl } from '../../shared/import-url.js';
import * as B from '../../shared/load/board.js';
import { CapturingFramer } from '../../shared/load/capture.js';
import { EchoFramer } from '../../shared/load/echo.js';
import type { Framer } from '../../shared/load/framer.js';
import { ResponseFramer } from '../../shared/load/http-response.js';
import { asProtocol, type LoadProtocol, ModuleFramer } from '../../shared/load/protocol.js';
import { asScript, type LoadScript } from '../../shared/load/script.js';
import { threadNumber } from '../../shared/load/thread-number.js';
import type { Ready } from '../service/ready.js';
import { Checker } from './checker.js';
import { Driver } from './driver.js';
import { Ledger } from './ledger.js';
import { PlainWire, TlsWire, type Wire } from './wire.js';
import { ListWriter, ModuleWriter, SameWriter, ScriptWriter, type Writer } from './writer.js';

const EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

let driver: Driver;
let current: Ready;
const expirations = new Uint8Array(8);

export async function setup(board: B.Assignment): Promise<void> {
  const protocol = board.module === undefined ? undefined : asProtocol(await importUrl(board.module));
  if (protocol !== undefined && protocol.request === undefined && board.request.length === 0) {
    throw new TypeError('the module of the protocol exports no request(), and there is no body');
  }
  const script = board.script === undefined ? undefined : asScript(await importUrl(board.script));
  const { counts, histogram, handshakes } = B.countsOf(board, B.joinBoard(board));
  counts[B.THREAD_ID] = threadId;
  counts[B.KERNEL_THREAD] = threadNumber();
  const wire = board.tls === undefined ? new PlainWire(board) : new TlsWire(board, board.tls, counts, handshakes);
  const writer = writerFor(board, wire, counts, protocol, script);
  const capture = script?.check === undefined ? undefined : new CapturingFramer(keeper(board));
  driver = new Driver({
    board,
    framer: capture ?? framerFor(board, protocol),
    wire,
    writer,
    ledger: new Ledger(board, counts, histogram, writer),
    checker:
      script === undefined || capture === undefined
        ? undefined
        : new Checker(script, capture, board.scriptData, board.keptBytes, note),
    office: {
      post: parting => current.post(parting),
      close: () => current.close(),
      register: (fd, id) => current.register(fd, { events: EVENTS, data: id + B.FIRST_DATA }),
    },
    again: () => current.again(),
  });
}

function writerFor(
  board: B.Assignment,
  wire: Wire,
  counts: Float64Array,
  protocol: LoadProtocol | undefined,
  script: LoadScript | undefined,
): Writer {
  if (protocol !== undefined) return new ModuleWriter(board, wire, counts, protocol);
  if (script?.request !== undefined) return new ScriptWriter(board, wire, script);
  return board.list.length > 0 ? new ListWriter(board, wire) : new SameWriter(board, wire);
}

function framerFor(board: B.Assignment, protocol: LoadProtocol | undefined): Framer {
  if (board.protocol === 'http') return new ResponseFramer();
  return protocol === undefined ? new EchoFramer(board.request.length) : new ModuleFramer(protocol, keeper(board));
}

/** Memory for what has come of a connection's response, by the place of its state. */
function keeper({ kept, keptBytes, stride }: B.Assignment): (at: number) => Buffer {
  return at => Buffer.from(kept, Math.floor(at / stride) * 2 * keptBytes, keptBytes);
}

function note(detail: string): void {
  current.post({
    id: 0,
    kind: 'note',
    detail,
    lost: 0,
    counted: 0,
    stands: false,
    todo: B.NOTHING,
  } satisfies B.Parting);
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
