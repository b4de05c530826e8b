// Medians and spreads of rounds.

/** @param {number[]} rounds at least one */
export function summary(rounds) {
  return { median: median(rounds), low: Math.min(...rounds), high: Math.max(...rounds), rounds };
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The value that a share of the numbers does not exceed. @param {Float64Array} sorted @param {number} share 0 to 1 */
export function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
