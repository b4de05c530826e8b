/** The start task of each thread of the pool: loads the handler, returns, and goes on in the wait loop. */
import type { MessagePort } from 'node:worker_threads';
import { threadId } from 'node:worker_threads';
import { now } from '../../shared/clock.js';
import { requireLinux } from '../../shared/kernel/syscalls.js';
import { type PackedError, packError } from '../../shared/service/error-transfer.js';
import * as L from '../../shared/service/layout.js';
import { Waking } from '../../shared/service/waking.js';
import { OWN_HANDLERS } from '../own-handlers.js';
import { loadHandler, type ThreadServices } from './handler.js';
import { Outbox } from './outbox.js';
import { OwnLoop } from './own-loop.js';
import { ReadyCache, wakeById } from './ready.js';
import { WaitLoop } from './wait-loop.js';

export interface ThreadTask {
  readonly plan: L.Plan;
  readonly index: number;
  readonly epfd: number;
  /** The eventfd that wakes one thread. */
  readonly wakeFd: number;
  /** The writing end of the doorbell's pipe. */
  readonly bell: number;
  readonly port: MessagePort;
  /** Where koffi's native part was found. */
  readonly koffi: string | undefined;
  /** For import(); none: events go to the main thread. */
  readonly handler: string | undefined;
  readonly handlerData: unknown;
}

/** Undefined once the thread is about to wait; otherwise why it will not. */
export default async function run(task: ThreadTask): Promise<PackedError | undefined> {
  const { plan, index, epfd, port, handler } = task;
  const { words } = L.threadOf(plan, index);
  Atomics.store(words, L.THREAD_ID, threadId);
  // A thread that is ended while it loads koffi aborts the process: whoever wants to end it asks here first.
  if (Atomics.compareExchange(words, L.PHASE, L.PHASE_NEW, L.PHASE_LOADING) !== L.PHASE_NEW) {
    throw new Error('the service was closed before this thread began');
  }
  // Its file is read while koffi loads; it runs after that.
  const waking = new Waking(plan, task.wakeFd);
  const outbox = new Outbox(plan, index, port, task.bell);
  let loop: WaitLoop | undefined;
  const services: ThreadServices = {
    index,
    wake: id => wakeById(plan, waking, id),
    now: () => loop?.now ?? now(),
    post: value => outbox.post(value),
    hold: () => loop?.hold(),
    release: () => loop?.release(),
    rests: () => loop?.rests(),
    goesOn: () => loop?.goesOn(),
  };
  const loading = handler === undefined ? undefined : loadHandler(handler, task.handlerData, services, OWN_HANDLERS);
  loading?.catch(() => {}); // told below, or of no interest
  let ownLoop: OwnLoop;
  try {
    requireLinux(task.koffi);
    // Before the handler's module runs: what the event loop has by now is Node's own.
    ownLoop = new OwnLoop(epfd);
  } finally {
    Atomics.store(words, L.PHASE, L.PHASE_LOADED);
    Atomics.notify(words, L.PHASE);
  }
  try {
    const loaded = await loading;
    const isTrusted = loaded?.isTrusted ?? false;
    const readies = new ReadyCache({ plan, slots: L.slotsOf(plan), outbox, waking }, isTrusted);
    const parts = {
      plan,
      index,
      epfd,
      outbox,
      readies,
      waking,
      handler: loaded?.handle,
      isTrusted,
      mayGoOnFull: loaded?.mayGoOnFull,
    };
    const made = new WaitLoop(parts, ownLoop);
    loop = made;
    Atomics.store(words, L.PHASE, L.PHASE_WAITING);
    setImmediate(() => made.turn());
    return undefined;
  } catch (error) {
    return packError(error);
  }
}
