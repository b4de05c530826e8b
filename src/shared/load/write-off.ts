/** What becomes of the requests of a connection that will not be answered. */
import * as B from './board.js';

export interface Loss {
  /** How many requests were under way; of these, those that are counted. */
  readonly lost: number;
  readonly counted: number;
}

/** Strikes off what the connection whose record begins at `at` has under way. Nobody else is at the record. */
export function writeOff({ records, pipelining, times }: B.Assignment, at: number): Loss {
  const lost = records[at + B.UNDER_WAY] ?? 0;
  let counted = 0;
  for (let i = 0; i < lost; i++) {
    const place = ((records[at + B.OLDEST] ?? 0) + i) % pipelining;
    if ((records[at + B.RING + 2 * place] ?? 0) >= (times[B.COUNT_FROM] ?? 0)) counted++;
  }
  records[at + B.UNDER_WAY] = 0;
  records[at + B.UNWRITTEN] = 0;
  return { lost, counted };
}
