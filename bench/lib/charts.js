// Bar charts as SVG that follow the reader's light or dark theme.
import { escaped, linear, logarithmic, path, round } from '../../dist/main/load/svg.js';
import { asked, short, titleOf } from './table.js';

const WIDTH = 760;
const LEFT = 190;
const RIGHT = 120;
const ROW = 26;
const BAR = 14;

const STYLE = `
svg { --page: #ffffff; --ink: #1d1f23; --soft: #666b74; --line: #e5e5e1; --peer: #b9bdc6; --ours: #2a62c4; --mark: #1d1f23; --good: #24784a; --bad: #bf3029; }
@media (prefers-color-scheme: dark) {
  svg { --page: #16181c; --ink: #e9e9e6; --soft: #9ba0a9; --line: #2e3138; --peer: #565c68; --ours: #79aaff; --mark: #e9e9e6; --good: #6bc995; --bad: #ff8079; }
}
.page { fill: var(--page); }
text { fill: var(--soft); font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; font-variant-numeric: tabular-nums; }
.title { fill: var(--ink); font-size: 17px; font-weight: 650; }
.case { fill: var(--ink); font-weight: 600; }
.mine { fill: var(--ink); font-weight: 600; }
.peer { fill: var(--peer); } .ours { fill: var(--ours); }
.spread { stroke: var(--mark); stroke-width: 1.5; opacity: .55; }
.curve { fill: none; stroke: var(--ours); stroke-width: 2; } .other { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 5 4; }
.line { stroke: var(--line); } .goal { stroke: var(--ink); stroke-dasharray: 4 3; }
.good { fill: var(--good); } .bad { fill: var(--bad); }
`;

/** @param {Array<[y: number, markup: string]>} rows */
function picture(height, title, body) {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(title)}">` +
    `<style>${STYLE}</style><rect class="page" width="${WIDTH}" height="${height}" rx="10"/>${body}</svg>\n`
  );
}

function label(x, y, text, { anchor = 'start', kind = '' } = {}) {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" class="${kind}">${escaped(text)}</text>`;
}

/** Cuts a sentence into lines. */
function wrapped(text, most) {
  const lines = [''];
  for (const word of text.split(' ')) {
    if (lines.at(-1).length + word.length > most) lines.push('');
    lines[lines.length - 1] += `${word} `;
  }
  return lines.map(line => line.trim());
}

/** A bar for each contestant in each case, with the spread of its rounds: one metric of a question. */
export function barChart({ title, text, metrics, results, rounds }, metric) {
  const shown = results.filter(row => row.skipped !== undefined || row.values[metric] !== undefined);
  const most = Math.max(...shown.map(row => row.values?.[metric]?.high ?? 0));
  const width = WIDTH - LEFT - RIGHT;
  const scale = linear([0, most], [0, width]);
  const { unit, better } = metrics[metric];
  const name = titleOf(metrics, metric);
  const parts = [label(24, 34, title, { kind: 'title' })];
  let y = 38;
  for (const line of wrapped(text, 105)) {
    y += 18;
    parts.push(label(24, y, line));
  }
  y += 18;
  const what = metrics[metric].title === undefined ? unit : `${name}, ${unit}`;
  parts.push(label(24, y, `${what}: ${better} is better; median of ${rounds} rounds, and their spread`));
  y += 14;
  for (const kase of new Set(shown.map(row => row.case))) {
    const rows = shown.filter(row => row.case === kase);
    if (new Set(shown.map(row => row.case)).size > 1) {
      y += 24;
      parts.push(label(24, y, kase, { kind: 'case' }));
      y += 4;
    }
    for (const row of rows) {
      y += ROW;
      parts.push(label(LEFT - 12, y, row.contestant, { anchor: 'end', kind: row.ours ? 'mine' : '' }));
      if (row.skipped !== undefined) {
        parts.push(label(LEFT, y, row.skipped));
        continue;
      }
      const { median, low, high } = row.values[metric];
      const top = y - BAR + 2;
      parts.push(
        `<rect class="${row.ours ? 'ours' : 'peer'}" x="${LEFT}" y="${top}" width="${round(Math.max(scale(median), 1))}" height="${BAR}" rx="3"/>`,
        `<path class="spread" d="M${round(LEFT + scale(low))} ${top + BAR / 2}H${round(LEFT + scale(high))}"/>`,
        label(LEFT + scale(Math.max(median, high)) + 8, y, short(median), { kind: row.ours ? 'mine' : '' }),
      );
    }
  }
  return picture(y + 24, `${title}: ${name}`, parts.join(''));
}

/** One measurement that is far off, such as memory below 0, does not press all others together: its line ends at the edge. */
const FARTHEST = 6;

/** How far each goal was reached: 1 is the goal itself; to the right of it is better. On a logarithmic scale. */
export function goalChart(questions) {
  const rows = questions.flatMap(({ title, metrics, goals }) =>
    goals.filter(goal => goal.reached !== undefined).map(goal => ({ title, metrics, goal, score: scoreOf(goal) })),
  );
  const left = 470;
  const span = WIDTH - left - 130;
  const scores = rows.flatMap(({ score }) => [score.low, score.high]);
  const edge = Math.min(FARTHEST, Math.max(2, ...scores.map(score => Math.max(score, 1 / score))));
  const scale = logarithmic([1 / edge, edge], [left, left + span]);
  const place = score => scale(Math.min(edge, score));
  const parts = [label(24, 34, 'Goals, and what was reached', { kind: 'title' })];
  parts.push(
    label(
      24,
      56,
      'The dashed line is the goal; right of it is better. Logarithmic; dots are medians, lines the spread of the rounds.',
    ),
  );
  let y = 72;
  let last = '';
  for (const { title, metrics, goal, score } of rows) {
    if (title !== last) {
      y += 30;
      parts.push(label(24, y, title, { kind: 'case' }));
      last = title;
    }
    y += 21;
    const named = metrics[goal.metric].title === undefined ? '' : `${metrics[goal.metric].title}, `;
    const whose = goal.ours === 'epoll-pool' ? '' : `${goal.ours} `;
    const pair = goal.peerCase === undefined ? `to ${goal.peer}, ${goal.case}` : `${goal.case} to ${goal.peerCase}`;
    const what = `${whose}${named}${goal.isRatio ? pair : goal.case}`;
    parts.push(
      label(36, y, what),
      `<path class="spread" d="M${round(place(score.low))} ${y - 4}H${round(place(score.high))}"/>`,
      `<circle class="${goal.reached ? 'good' : 'bad'}" cx="${round(place(score.median))}" cy="${y - 4}" r="5"/>`,
      label(WIDTH - 24, y, `${short(goal.value.median)} (${asked(goal)})`, {
        anchor: 'end',
        kind: goal.reached ? 'good' : 'bad',
      }),
    );
  }
  parts.splice(2, 0, `<path class="goal" d="M${left + span / 2} 74V${y + 8}"/>`);
  return picture(y + 26, 'Goals, and what was reached', parts.join(''));
}

/** Above 1: better than asked. */
function scoreOf({ value, atLeast, atMost }) {
  if (atLeast !== undefined)
    return { median: value.median / atLeast, low: value.low / atLeast, high: value.high / atLeast };
  const at = one => atMost / Math.max(one, atMost / 1000);
  return { median: at(value.median), low: at(value.high), high: at(value.low) };
}

/** Lines over numbers that double: how many times of the first there are. Series that are ours carry their name at the end. */
export function lineChart({ title, text, series, x: what }) {
  const [top, height] = [90, 340];
  const right = 70;
  const points = series.flatMap(one => one.points);
  const most = Math.max(...points.flat());
  const place = logarithmic([1, most], [60, WIDTH - right]);
  const level = logarithmic([1, most], [top + height, top]);
  const parts = [label(24, 34, title, { kind: 'title' })];
  for (const [i, line] of wrapped(text, 105).entries()) parts.push(label(24, 56 + 18 * i, line));
  for (let tick = 1; tick <= most; tick *= 2) {
    const y = round(level(tick));
    parts.push(
      `<path class="line" d="M60 ${y}H${WIDTH - right}"/>`,
      label(50, y + 4, `×${tick}`, { anchor: 'end' }),
      label(place(tick), top + height + 22, String(tick), { anchor: 'middle' }),
    );
  }
  parts.push(label(60 + (WIDTH - 60 - right) / 2, top + height + 44, what, { anchor: 'middle' }));
  for (const { points, ours } of series) {
    parts.push(
      `<path class="curve${ours ? '' : ' other'}" d="${path(points.map(([x, y]) => [place(x), level(y)]))}"/>`,
    );
  }
  // From the top down, none on another.
  let above = 0;
  for (const { name, points } of series
    .filter(one => one.ours)
    .sort((a, b) => b.points.at(-1)[1] - a.points.at(-1)[1])) {
    above = Math.max(level(points.at(-1)[1]) + 4, above + 15);
    parts.push(label(WIDTH - right + 8, above, name, { kind: 'mine' }));
  }
  return picture(top + height + 60, title, parts.join(''));
}
