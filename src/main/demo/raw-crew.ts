/** Threads that wait on one epoll fd and act on what they get, each for itself. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { now } from '../../shared/clock.js';
import * as L from '../../shared/demo/ledger.js';
import { Epoll } from '../../shared/epoll/epoll.js';
import { EPOLLET, EPOLLIN, EPOLLONESHOT } from '../../shared/epoll/flags.js';
import type { RawMode, RawTask } from '../../worker/demo/raw-thread.js';
import { addExitHook, removeExitHook } from '../service/exit-hook.js';
import type { Crew } from './crew.js';

const MASKS = { level: EPOLLIN, edge: EPOLLIN | EPOLLET, oneshot: EPOLLIN | EPOLLONESHOT };
/** How long an exit waits for threads that are inside koffi's loading, in which they must not be ended. */
const LOADING_MS = 800;
const START_MS = 10_000;

export async function startRawCrew(mode: RawMode, ledger: L.Ledger, fds: readonly number[]): Promise<Crew> {
  const { plan, header } = ledger;
  const epoll = new Epoll();
  const settle = (): void => {
    const until = now() + LOADING_MS;
    for (;;) {
      const loaded = Atomics.load(header, L.LOADED);
      const left = until - now();
      if (loaded >= plan.threads || left <= 0) return;
      Atomics.wait(header, L.LOADED, loaded, left);
    }
  };
  addExitHook(settle);
  let failure: Error | undefined;
  const workerData: RawTask = { plan, epfd: epoll.fd, fds, mode };
  const workers = Array.from({ length: plan.threads }, () => {
    const worker = new Worker(new URL('../../worker/demo/raw-thread.js', import.meta.url), { workerData });
    worker.once('error', error => {
      failure ??= error instanceof Error ? error : new Error(String(error));
    });
    return worker;
  });
  const exits = workers.map(worker => once(worker, 'exit').catch(() => undefined));
  const stop = async (): Promise<void> => {
    Atomics.store(header, L.STOP, 1);
    await Promise.all(exits);
    removeExitHook(settle);
    epoll.close();
  };
  try {
    for (const [connection, fd] of fds.entries()) epoll.register(fd, { events: MASKS[mode], data: connection });
    const until = now() + START_MS;
    while (Atomics.load(header, L.READY) < plan.threads) {
      if (failure !== undefined) throw failure;
      if (now() > until) throw new Error(`the threads did not start within ${START_MS / 1000} s`);
      await new Promise(resolve => setTimeout(resolve, 5));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    get error() {
      return failure;
    },
    controlCalls: () => 0,
    idleEvents: () => 0,
    stop,
  };
}
