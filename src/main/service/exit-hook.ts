/**
 * Calls services back when this thread's process (or this worker) exits: Node cannot end a thread that is inside epoll_wait, so
 * the service has to wake it. One 'exit' listener for all of them, for Node warns of more than ten.
 */

const hooks = new Set<() => void>();

function runAll(): void {
  for (const hook of hooks) hook();
}

/** Calls `hook` when this thread's process (or worker) exits. */
export function addExitHook(hook: () => void): void {
  if (hooks.size === 0) process.on('exit', runAll);
  hooks.add(hook);
}

export function removeExitHook(hook: () => void): void {
  if (hooks.delete(hook) && hooks.size === 0) process.off('exit', runAll);
}
