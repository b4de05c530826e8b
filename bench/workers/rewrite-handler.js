// The handler of scaling/service.js: reads its eventfd, computes for a while, and writes it again.
const value = new Uint32Array(2);
const one = new Uint8Array(new BigUint64Array([1n]).buffer);
/** What a clock's call costs is part of the time. */
const now = performance.now.bind(performance);
let milliseconds = 0;
let counts = new Float64Array(16);
let stop = new Int32Array(1);
let lane = 0;

export function setup(data) {
  ({ milliseconds, counts, stop } = data);
  lane = Atomics.add(data.lanes, 0, 1) * 16;
}

export default function rewrite(ready) {
  if (ready.read(value) < 0) return;
  counts[lane]++;
  if (milliseconds > 0) for (const until = now() + milliseconds; now() < until; );
  if (Atomics.load(stop, 0) === 0) ready.write(one);
}
