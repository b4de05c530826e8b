// The types of simulate.js, for its test.

/** Nanoseconds for each step: see costs.json, and instance.js for where each is spent. */
export interface Costs {
  readonly enter: number;
  readonly scan: number;
  readonly listLock: number;
  readonly send: number;
  readonly away: number;
  readonly callback: number;
  readonly wake: number;
  readonly wakeUp: number;
  readonly read: number;
  readonly write: number;
  readonly claim: number;
  readonly lockHandoff: number;
  readonly mtxHandoff: number;
}

export interface Options {
  readonly costs: Costs;
  readonly threads: number;
  readonly instances?: number;
  readonly batch?: number;
  readonly handler?: number | ((random: () => number) => number);
  readonly arrivals?: number;
  readonly far?: number;
  readonly events?: number;
  readonly spread?: number;
  readonly seed?: number;
}

export interface Outcome {
  readonly rate: number;
  readonly mtx: number;
  readonly lock: number;
  readonly waits: Float64Array;
}

export function simulate(options: Options): Outcome;
export function alone(costs: Costs, batch: number, handler?: number): number;
