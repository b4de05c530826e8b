/** The handler module of a server's service: it serves connections, with the user's module. */
import { invalidState } from '../../shared/errors.js';
import * as L from '../../shared/server/layout.js';
import { requireTls } from '../../shared/tls/session.js';
import type { HandlerThread } from '../service/handler.js';
import type { Ready } from '../service/ready.js';
import { Engine } from './engine.js';
import { loadModule } from './module.js';
import type { ServerTask } from './thread-setup.js';
import { Wakes } from './wakes.js';

let engine: Engine | undefined;
let slotOfFd: Int32Array | undefined;
let wakes: Wakes | undefined;

/** Called by the service, in each thread. */
export async function setupThread(task: ServerTask, thread: HandlerThread): Promise<void> {
  const module = await loadModule(task.module, task.handlerData);
  if (task.tls) requireTls();
  const memory = L.memoryOf(task.plan);
  const waker = new Wakes(memory, task.waker);
  slotOfFd = memory.slotOfFd;
  wakes = waker;
  engine = new Engine(task, module, thread, slot => waker.wake(slot));
}

export default function run(ready: Ready): void | Promise<void> {
  if (engine === undefined || wakes === undefined) throw invalidState('setupThread() has not run');
  const { fd } = ready;
  if (fd === wakes.fd) return wakes.run(engine);
  const mapped = slotOfFd?.[fd] ?? 0;
  const slot = mapped > 0 ? mapped - 1 : L.slotOf(Number(ready.data));
  return engine.visit(slot, ready.events);
}
