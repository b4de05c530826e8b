// `npm run test:platforms [NAME ...]`: the package on what its users have, each with one command. What needs a tool that is
// missing here is skipped, and says so.

import { Skip } from './lib.js';
import { PLATFORMS } from './platforms.js';

const names = process.argv.slice(2);
const unknown = names.filter(name => !PLATFORMS.has(name));
if (unknown.length > 0 || names.includes('--help')) {
  console.log(`usage: npm run test:platforms [-- NAME ...]\n\n${[...PLATFORMS.keys()].join(' ')}`);
  process.exit(unknown.every(name => name === '--help') ? 0 : 2);
}

const rows = [];
const counts = { passed: 0, failed: 0, skipped: 0 };
for (const name of names.length > 0 ? names : PLATFORMS.keys()) {
  const from = performance.now();
  let [outcome, what] = ['passed', ''];
  try {
    what = (await PLATFORMS.get(name)()) ?? '';
  } catch (error) {
    outcome = error instanceof Skip ? 'skipped' : 'failed';
    what = error instanceof Skip ? error.message : String(error.message).split('\n')[0];
    if (outcome === 'failed') console.error(`\n${name}:`, error);
  }
  counts[outcome]++;
  const line = `${name.padEnd(12)} ${outcome.padEnd(8)} ${((performance.now() - from) / 1000).toFixed(1).padStart(6)} s  ${what}`;
  console.log(line);
  rows.push(line);
}
console.log(`\n${rows.join('\n')}\n\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed > 0 ? 1 : 0);
