/**
 * What piscina loads in each thread: it does so by require(), and a thread that is ended while require() loads ES modules
 * aborts the whole process (V8: "IsGraphAsync must be used on an instantiated module"). import() has no such moment.
 */
import type { PackedError } from '../shared/error-transfer.js' with { 'resolution-mode': 'import' };
import type { ThreadTask } from './thread.js' with { 'resolution-mode': 'import' };

async function run(task: ThreadTask): Promise<PackedError | undefined> {
  const thread = await import('./thread.js');
  return thread.default(task);
}

export = run;
