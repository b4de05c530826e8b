/** The handler module of a server's service: it serves connections, with the user's module. */
import { invalidState } from '../../shared/errors.js';
import * as L from '../../shared/server/layout.js';
import { requireTls } from '../../shared/tls/session.js';
import type { ThreadServices } from '../service/handler.js';
import type { Ready } from '../service/ready.js';
import { Engine } from './engine.js';
import { loadModule } from './module.js';
import type { ServerTask } from './thread-setup.js';

let engine: Engine | undefined;
let slotOfFd: Int32Array | undefined;

/** Called by the service, in each thread. */
export async function setupThread(task: ServerTask, thread: ThreadServices): Promise<void> {
  const module = await loadModule(task.module, task.handlerData);
  if (task.tls) requireTls();
  const memory = L.memoryOf(task.plan);
  slotOfFd = memory.slotOfFd;
  engine = new Engine(task, module, thread);
  engine.begin();
}

/** Asked by the service while `concurrency` promises are pending in this thread. */
export function mayGoOnFull(): boolean {
  return engine?.mayGoOnFull ?? false;
}

export default function run(ready: Ready): void {
  if (engine === undefined) throw invalidState('setupThread() has not run');
  const mapped = slotOfFd?.[ready.fd] ?? 0;
  const slot = mapped > 0 ? mapped - 1 : L.slotOf(Number(ready.data));
  engine.visit(slot, ready.id, ready.events);
}
