/** Results side by side as one page of HTML. */
import { curvesOf, latencyCurves } from './chart-latency.js';
import { type ComparedRow, type ComparedVerdict, type NamedResult, shown, shownRatio } from './compare.js';
import { settingsLine } from './format.js';
import { chart, legend, n, page, section, table } from './html.js';
import { escaped } from './svg.js';

export function compareHtml(
  results: readonly NamedResult[],
  rows: readonly ComparedRow[],
  verdicts: readonly ComparedVerdict[],
): string {
  const names = results.map(({ name }) => name);
  const head = ['', ...names.flatMap((name, i) => (i === 0 ? [n(name)] : [n(name), n('ratio')]))];
  const body = rows.map(row => [
    row.name,
    ...row.values.flatMap((value, i) =>
      i === 0 ? [n(shown(row, value))] : [n(shown(row, value)), n(shownRatio(row, i))],
    ),
  ]);
  const judged = verdicts.map(({ file, condition, ok, value }) => [
    condition,
    file,
    n(value === null ? 'no ratio' : `×${value.toFixed(2)}`),
    { text: ok ? 'ok' : 'failed', of: ok ? 'good' : 'bad' },
  ]);
  const tested = results.map(({ name, result }) => [
    name,
    `${result.method} ${result.urls.join(', ')}`.trim(),
    settingsLine(result),
  ]);
  const content = `<header><h1>${escaped(names.join(', '))}</h1><p class="settings">Ratios are to ${escaped(names[0] ?? '')}.</p></header>
${section('Measured', 'and its ratio to the first', table(head, body, 'stack titled'))}
${verdicts.length === 0 ? '' : section('Required', '', table(['condition', 'of', n('ratio'), n('')], judged, 'stack titled'))}
${chart('Latency', 'by percentile; the last ones stretched', latencyCurves(results), legend(curvesOf(results)))}
${section('Tests', '', table(['', 'what', 'how'], tested, 'stack titled'))}
<footer>Made by epoll-pool compare.</footer>`;
  return page(`Load tests: ${names.join(', ')}`, content);
}
