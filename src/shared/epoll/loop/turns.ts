/**
 * Keeps promises that are answered at once from starving the event loop: `await` in a loop runs in microtasks, and
 * neither timers nor I/O get a turn until one of them has to wait.
 */
import { setImmediate } from 'node:timers';

/** How many answers in a row may be given at once. */
const ANSWERS_A_TURN = 16;

let answers = 0;

/** Whether the loop is due a turn before the next answer. */
export function loopIsDue(): boolean {
  if (answers === 0) setImmediate(newTurn).unref(); // what holds the process is the caller's affair
  return ++answers > ANSWERS_A_TURN;
}

function newTurn(): void {
  answers = 0;
}
