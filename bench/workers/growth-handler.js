// The handler of growth.js: reads its eventfd, and writes it again.
import { shared } from '../lib/threads.js';

const value = new Uint32Array(2);
const one = new Uint8Array(new BigUint64Array([1n]).buffer);
let counts = new Float64Array(2);
let stop = shared(1);

export function setup(data) {
  ({ counts, stop } = data);
}

export default function busy(ready) {
  if (ready.read(value) < 0) return;
  counts[0] += value[0];
  if (Atomics.load(stop, 0) !== 0) return;
  ready.write(one);
  counts[1]++;
}
