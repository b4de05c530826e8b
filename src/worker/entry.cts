/**
 * What piscina loads in each thread: it does so by require(), and a thread that is ended while require() loads ES modules
 * aborts the whole process (V8: "IsGraphAsync must be used on an instantiated module"). import() has no such moment.
 */
import type { PackedError } from '../shared/error-transfer.js' with { 'resolution-mode': 'import' };
import type { ThreadTask } from './thread.js' with { 'resolution-mode': 'import' };

async function run(task: ThreadTask): Promise<PackedError | undefined> {
  const { phase, unborn, loading, loaded } = task.gate;
  // A thread that is ended in the middle of import() leaves open the file that it was reading, and inside koffi's own loading
  // it aborts the process: whoever wants to end it asks here first.
  if (Atomics.compareExchange(phase, 0, unborn, loading) !== unborn) {
    throw new Error('the service was closed before this thread began');
  }
  try {
    const thread = await import('./thread.js');
    return await thread.default(task);
  } finally {
    // Where it came to nothing: otherwise it has gone on since.
    if (Atomics.compareExchange(phase, 0, loading, loaded) === loading) Atomics.notify(phase, 0);
  }
}

export = run;
