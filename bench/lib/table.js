// What a person reads in the terminal.
import { styleText } from 'node:util';

/** 1,280,000 as 1.28 M; three digits that count. */
export function short(value) {
  const size = Math.abs(value);
  if (size >= 999_500) return `${digits(value / 1e6)} M`;
  if (size >= 9_995) return `${digits(value / 1e3)} k`;
  if (size >= 1000) return String(Math.round(value));
  return digits(value);
}

function digits(value) {
  return Number(value.toPrecision(3)).toString();
}

/** Values with their unit: 1.28 M events/s. */
export function withUnit(value, unit) {
  return unit === '' ? short(value) : `${short(value)} ${unit}`;
}

/** What a goal asks: ">= 0.75". */
export function asked({ atLeast, atMost }) {
  if (atLeast !== undefined) return `≥ ${atLeast}`;
  return atMost === undefined ? '' : `≤ ${atMost}`;
}

/** What a goal compares: "epoll-pool : C, 1 thread". */
export function subject({ ours, peer, peerCase, case: kase, isRatio }, metric) {
  if (!isRatio) return `${ours}, ${kase}, ${metric}`;
  if (peerCase !== undefined) return `${ours}, ${kase} : ${peerCase}, ${metric}`;
  return `${ours} : ${peer}, ${kase}, ${metric}`;
}

export function titleOf(metrics, name) {
  return metrics[name].title ?? name;
}

export function printQuestion({ title, text, metrics, results, goals, rounds, seconds }) {
  console.log(`\n${styleText('bold', title)}  ${text}`);
  console.log(styleText('dim', `median (lowest to highest) of ${rounds} round(s), ${seconds.toFixed(0)} s`));
  const lines = results.map(row => {
    const start = [row.case, row.contestant];
    if (row.skipped !== undefined) return [...start, `skipped: ${row.skipped}`];
    const cells = Object.entries(row.values).map(([metric, { median, low, high }]) => {
      const name = metrics[metric].title === undefined ? '' : `${metrics[metric].title} `;
      return `${name}${withUnit(median, metrics[metric].unit)} (${short(low)} to ${short(high)})`;
    });
    return [...start, ...cells];
  });
  printColumns(lines);
  printColumns(goals.map(goal => goalCells(goal, metrics)));
}

export function goalCells(goal, metrics) {
  const { value, skipped, reached, metric, isRatio } = goal;
  const what = subject(goal, titleOf(metrics, metric));
  if (skipped !== undefined) return [what, '', asked(goal), `skipped: ${skipped}`];
  const unit = isRatio ? '' : ` ${metrics[metric].unit}`;
  const spread = `${isRatio ? '×' : ''}${short(value.median)}${unit} (${short(value.low)} to ${short(value.high)})`;
  const verdict = reached === undefined ? '' : reached ? styleText('green', 'reached') : styleText('red', 'missed');
  return [what, spread, asked(goal), verdict];
}

export function printColumns(lines) {
  const widths = [];
  for (const line of lines) {
    for (const [i, cell] of line.entries()) if (i < line.length - 1) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  for (const line of lines) console.log(`  ${line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd());
}
