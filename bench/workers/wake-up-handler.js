// The handler of wake-up.js.
import { shared } from '../lib/threads.js';

const time = new BigInt64Array(1);
const answer = new Uint8Array(1);
let turns = shared(1);
let latencies = new Float64Array(1);

export function setup(data) {
  ({ turns, latencies } = data);
}

export default function received(ready) {
  const now = process.hrtime.bigint();
  if (ready.read(time) < 0) return;
  latencies[Atomics.add(turns, 0, 1)] = Number(now - time[0]) / 1000;
  ready.write(answer);
}
