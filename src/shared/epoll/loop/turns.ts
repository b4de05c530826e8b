/**
 * Keeps promises that are answered at once from starving the event loop: `await` in a loop runs in microtasks, and
 * neither timers nor I/O get a turn until one of them has to wait.
 */
import { setImmediate } from 'node:timers';
import { now } from '../../clock.js';

/** What may be answered at once in a row, and for how many milliseconds: what is done with an answer may take long. */
const ANSWERS_A_TURN = 16;
const TURN_MS = 5;

let answers = 0;
let until = 0;

/** Whether the loop is due a turn before the next answer. @param weight what that counts for */
export function loopIsDue(weight = 1): boolean {
  if (answers === 0) {
    setImmediate(newTurn).unref(); // what holds the process is the caller's affair
    until = now() + TURN_MS;
  }
  answers += weight;
  return answers > ANSWERS_A_TURN || now() > until;
}

function newTurn(): void {
  answers = 0;
}
