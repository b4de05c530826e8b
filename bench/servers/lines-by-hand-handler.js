// The handler of servers/lines-by-hand.js. While a client does not read its answers, it is not read from.
import { EPOLLRDHUP } from '../lib/ours.js';
import { answerTo } from './line.js';
import { INPUT_AT, lengthAt, MOST_IN, MOST_OUT, OUTPUT_AT, READ, setLength } from './lines-state.js';

/** What was kept stands right before what is read. */
const input = Buffer.alloc(MOST_IN + READ);
const fresh = input.subarray(MOST_IN);
const output = Buffer.alloc(MOST_OUT);
let times = 0;

export function setup(data) {
  times = data.times;
}

export default function handle(ready) {
  const { state } = ready;
  if (!flush(ready, state)) return;
  for (;;) {
    const n = ready.read(fresh);
    if (n < 0) return;
    if (n === 0) {
      ready.close();
      return;
    }
    const answers = answersTo(state, n);
    if (answers === undefined) {
      ready.close();
      return;
    }
    if (!send(ready, state, answers)) return;
    // All that was there, and no end yet: whatever comes now is another edge.
    if (n < READ && (ready.events & EPOLLRDHUP) === 0) return;
  }
}

/** To all whole lines; keeps the rest. undefined: a line is too long. */
function answersTo(state, n) {
  const kept = lengthAt(state, 0);
  let from = MOST_IN - kept;
  if (kept > 0) input.set(state.subarray(INPUT_AT, INPUT_AT + kept), from);
  const end = MOST_IN + n;
  let answers = '';
  for (let at = input.indexOf(10, from); at >= 0 && at < end; at = input.indexOf(10, from)) {
    answers += `${answerTo(input.toString('utf8', from, at), times)}\n`;
    from = at + 1;
  }
  const rest = end - from;
  if (rest > MOST_IN) return undefined;
  if (rest > 0) state.set(input.subarray(from, end), INPUT_AT);
  setLength(state, 0, rest);
  return answers;
}

/** Keeps what the socket does not take. @returns whether it took all */
function send(ready, state, text) {
  const length = output.write(text);
  const n = length === 0 ? 0 : Math.max(0, ready.write(output.subarray(0, length)));
  if (n < length) state.set(output.subarray(n, length), OUTPUT_AT);
  setLength(state, 2, length - n);
  return n === length;
}

/** @returns whether nothing is kept any more */
function flush(ready, state) {
  const length = lengthAt(state, 2);
  if (length === 0) return true;
  const n = Math.max(0, ready.write(state.subarray(OUTPUT_AT, OUTPUT_AT + length)));
  state.copyWithin(OUTPUT_AT, OUTPUT_AT + n, OUTPUT_AT + length);
  setLength(state, 2, length - n);
  return n === length;
}
