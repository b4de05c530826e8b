// What the soak's threads share: 32-bit words, a field for each fd.
export const FDS = 400;

export const SENT = 0;
export const TAKEN = FDS;
/** The generation that is registered; 0: none. */
export const GENERATION = 2 * FDS;
/** The last generation whose unregister() has resolved. */
export const GONE = 6 * FDS;
/** What the next run is to do: 1 throw, 2 end its thread, 3 take long, 4 be async, 5 post, 6 again(), 7 reject. */
export const FAULT = 3 * FDS;
/** The fd, for the writers. */
export const FD = 4 * FDS;
/** Whether writers may write to it. */
export const OPEN = 5 * FDS;
/** The last generation whose file was closed behind the service's back, and the one that is in a run. */
export const BEHIND = 7 * FDS;
export const RUNNING = 8 * FDS;
export const TOTALS = 9 * FDS;
/** In TOTALS: times that two threads were in one registration, and runs of a registration that is gone. */
export const OVERLAPS = 0;
export const STRAYS = 1;
export const PAUSE = TOTALS + 2;
export const PAUSED = TOTALS + 3;
const WORDS = TOTALS + 8;

export function create() {
  return new SharedArrayBuffer(WORDS * 4);
}

export function fields(shared) {
  return new Int32Array(shared);
}

/** A small generator with a seed: Lehmer's. */
export function randomOf(seed) {
  let state = (seed % 2_147_483_646) + 1;
  return below => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}
