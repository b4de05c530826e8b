// Whether a goal was reached: a ratio of ours to a peer, to ourselves in another case, or a limit.
import { summary } from './statistics.js';

/**
 * @param goal { metric, ours, case, peer?, peerCase?, atLeast? | atMost? }
 *   peer (default: ours) in peerCase (default: case) is what is divided by; with neither, the value itself is judged.
 *   Without atLeast and atMost the ratio is told, and nothing asked of it.
 */
export function judge(goal, results, smoke) {
  const { metric, ours, peer = ours, peerCase = goal.case, atLeast, atMost } = goal;
  const find = (contestant, kase) => results.find(row => row.contestant === contestant && row.case === kase);
  const mine = find(ours, goal.case);
  const isRatio = goal.peer !== undefined || goal.peerCase !== undefined;
  const theirs = isRatio ? find(peer, peerCase) : undefined;
  const missing = [mine, ...(isRatio ? [theirs] : [])].find(row => row?.values?.[metric] === undefined);
  const about = { ...goal, isRatio };
  if (mine === undefined || mine.values?.[metric] === undefined || missing !== undefined || (isRatio && !theirs)) {
    return { ...about, skipped: missing?.skipped ?? 'not measured' };
  }
  const mineRounds = mine.values[metric].rounds;
  const theirRounds = theirs?.values[metric].rounds;
  // Round by round: the two that ran beside each other.
  const value = summary(mineRounds.map((one, i) => (theirRounds ? one / theirRounds[i] : one)));
  if (smoke || (atLeast === undefined && atMost === undefined)) return { ...about, value };
  const reached =
    value.median >= (atLeast ?? Number.NEGATIVE_INFINITY) && value.median <= (atMost ?? Number.POSITIVE_INFINITY);
  return { ...about, value, reached };
}

/** One goal for each case. */
export function inCases(cases, goal) {
  return cases.map(({ name }) => ({ ...goal, case: name }));
}
