// Writes every goal of one or more runs into docs/benchmarks.md, between its marks: `node bench/tools/goals-table.js [latest.json ...]`.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { asked, short, titleOf } from '../lib/table.js';

const PAGE = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url));
const START = '<!-- goals: written by bench/tools/goals-table.js -->';
const END = '<!-- end of goals -->';

const files = process.argv.slice(2);
if (files.length === 0) files.push(fileURLToPath(new URL('../results/latest.json', import.meta.url)));
const runs = files.map(file => JSON.parse(readFileSync(file, 'utf8')));

/** Of each goal, by what it is about: its medians, in the order of the runs. A question may stand in some runs only. */
const rows = new Map();
for (const { questions } of runs) {
  for (const { name, title, metrics, goals } of questions) {
    for (const goal of goals) {
      const key = JSON.stringify([name, goal.metric, goal.ours, goal.case, goal.peer, goal.peerCase]);
      const row = rows.get(key) ?? { name, title, metrics, goal, medians: [] };
      if (goal.value !== undefined) row.medians.push(goal.value.median);
      rows.set(key, row);
    }
  }
}

const lines = ['| question | case | figure | beside | measured | goal |', '| --- | --- | --- | --- | --- | --- |'];
let before = '';
for (const { name, title, metrics, goal, medians } of rows.values()) {
  const what = goal.ours === 'epoll-pool' ? '' : `${goal.ours}: `;
  const cells = [
    title === before ? '' : `${title} (\`${name}\`)`,
    goal.case,
    what + titleOf(metrics, goal.metric),
    goal.isRatio ? (goal.peer ?? goal.peerCase) : '',
    medians.length === 0 ? `not measured: ${goal.skipped}` : medians.map(one => shown(one, goal, metrics)).join(', '),
    verdict(goal, medians),
  ];
  before = title;
  lines.push(`| ${cells.join(' | ')} |`);
}

const page = readFileSync(PAGE, 'utf8');
const [from, to] = [page.indexOf(START), page.indexOf(END)];
if (from < 0 || to < from) throw new Error(`${PAGE} has no place for the goals`);
writeFileSync(PAGE, `${page.slice(0, from + START.length)}\n\n${lines.join('\n')}\n\n${page.slice(to)}`);

function shown(value, { isRatio, metric }, metrics) {
  return isRatio ? `×${short(value)}` : `${short(value)} ${metrics[metric].unit}`.trim();
}

/** Reached: in every run. */
function verdict(goal, medians) {
  const goalText = asked(goal);
  if (goalText === '' || medians.length === 0) return goalText;
  const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = goal;
  const reached = medians.filter(one => one >= atLeast && one <= atMost).length;
  const word =
    reached === medians.length
      ? 'reached'
      : reached === 0
        ? '**missed**'
        : `reached in ${reached} of ${medians.length}`;
  return `${goalText}: ${word}`;
}
