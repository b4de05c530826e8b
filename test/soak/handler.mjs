// The soak's handler: takes what was sent, and does what it is told to do wrong.
import { BEHIND, FAULT, fields, GONE, OVERLAPS, RUNNING, STRAYS, TAKEN, TOTALS } from './memory.mjs';

const counter = new BigUint64Array(1);
let memory;

export function setup({ shared }) {
  memory = fields(shared);
}

export default function handle(ready) {
  const i = Number(ready.data & 0xffffn);
  const generation = Number(ready.data >> 16n);
  const inside = new Int32Array(ready.state.buffer, ready.state.byteOffset, 1);
  // (An fd that was closed without it may have its last run begin as it is closed.)
  if (Atomics.load(memory, GONE + i) === generation) Atomics.add(memory, TOTALS + STRAYS, 1);
  if (Atomics.exchange(inside, 0, 1) !== 0) Atomics.add(memory, TOTALS + OVERLAPS, 1);
  Atomics.store(memory, RUNNING + i, generation);
  // Its file is about to be closed, or is: it must not read what has the number next.
  const isBehind = Atomics.load(memory, BEHIND + i) === generation;
  if (!isBehind && ready.read(counter) > 0) Atomics.add(memory, TAKEN + i, Number(counter[0]));
  Atomics.store(memory, RUNNING + i, 0);
  const fault = Atomics.exchange(memory, FAULT + i, 0);
  if (fault === 3) spin(3);
  Atomics.store(inside, 0, 0);
  if (fault === 1) throw new Error('as told');
  if (fault === 2) process.exit(7);
  if (fault === 4) return new Promise(resolve => setTimeout(resolve, 2));
  if (fault === 5) ready.post({ i });
  if (fault === 6) ready.again();
  if (fault === 7) return new Promise((_, reject) => setTimeout(() => reject(new Error('as told')), 2));
  return undefined;
}

function spin(milliseconds) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}
