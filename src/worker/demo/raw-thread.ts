/** A thread of the demo's raw rows: the loop that one would write, on an epoll instance that other threads wait on too. */
import { workerData } from 'node:worker_threads';
import * as L from '../../shared/demo/ledger.js';
import { Epoll } from '../../shared/epoll/epoll.js';
import { Events } from '../../shared/epoll/events.js';
import { EPOLLIN, EPOLLONESHOT } from '../../shared/epoll/flags.js';
import { read, write } from '../../shared/kernel/sys.js';
import { type Stream, Visitor } from './visitor.js';

export type RawMode = 'level' | 'edge' | 'oneshot';

export interface RawTask {
  readonly plan: L.LedgerPlan;
  readonly epfd: number;
  /** By connection. */
  readonly fds: readonly number[];
  readonly mode: RawMode;
}

const BATCH = 64;

class FdStream implements Stream {
  fd = -1;
  read(buffer: NodeJS.ArrayBufferView): number {
    return read(this.fd, buffer);
  }
  write(buffer: NodeJS.ArrayBufferView): number {
    return write(this.fd, buffer);
  }
}

function run({ plan, epfd, fds, mode }: RawTask): void {
  const ledger = new L.Ledger(plan);
  const epoll = Epoll.borrow(epfd);
  Atomics.add(ledger.header, L.LOADED, 1);
  Atomics.notify(ledger.header, L.LOADED);
  const visitor = new Visitor(ledger);
  const events = new Events(BATCH);
  const stream = new FdStream();
  Atomics.add(ledger.header, L.READY, 1);
  while (!ledger.stopping) {
    const n = epoll.wait(events, 100);
    for (let i = 0; i < n && !ledger.stopping; i++) {
      const connection = Number(events.dataAt(i));
      stream.fd = fds[connection] ?? -1;
      visitor.visit(connection, stream, mode === 'edge');
      if (mode === 'oneshot') {
        epoll.modify(stream.fd, { events: EPOLLIN | EPOLLONESHOT, data: connection });
        visitor.count(L.CONTROLS);
      }
    }
  }
}

const task: RawTask = workerData;
run(task);
