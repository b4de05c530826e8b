/** A result as one page of HTML: nothing is fetched, nothing runs. */
import { latencyChart } from './chart-latency.js';
import { bytesChart, latencyOverTimeChart, throughputChart } from './chart-time.js';
import { bytes, measuredValue, number, percent, ratesOf, remarks, settingsLine, time, timeOrNone } from './format.js';
import { chart, n, page, section, table } from './html.js';
import { cpuShare, type LoadResult } from './result.js';
import { escaped } from './svg.js';

/** @returns a whole document, in UTF-8 */
export function reportHtml(result: LoadResult): string {
  const title = `${result.method} ${result.urls.join(', ')}`.trim();
  const content = `<header>
<h1>${result.method === '' ? '' : `<small>${escaped(result.method)}</small>`}${escaped(result.urls.join(', '))}</h1>
<p class="settings">${escaped(settingsLine(result))}, ${time(result.duration)}</p>
</header>
${tiles(result)}
${remarks(result)
  .map(text => `<p class="note">${escaped(text)}</p>`)
  .join('\n')}
${verdicts(result)}
${chart('Throughput', 'requests per second over time', throughputChart(result))}
${chart('Latency', 'over time: p50 and p99 of each interval', latencyOverTimeChart(result))}
${chart('Latency', 'by percentile; the last ones stretched', latencyChart(result))}
${percentiles(result)}
${handshakes(result)}
${chart('Transfer', 'bytes received per second over time', bytesChart(result))}
<div class="pair">
${statuses(result)}
${errors(result)}
</div>
${threads(result)}
${hosts(result)}
${settings(result)}
<footer>${footer(result)}</footer>`;
  return page(`Load test: ${title}`, content);
}

function tiles(result: LoadResult): string {
  const { latency, errorCount } = result;
  const items: Array<[name: string, value: string, bad?: boolean]> = [
    ['Requests/s', number(result.requestsPerSecond)],
    ['Latency p50', timeOrNone(latency.p50)],
    ['Latency p99', timeOrNone(latency.p99)],
    ['Latency max', timeOrNone(latency.max)],
    ['Bytes/s', bytes(result.bytesPerSecond)],
    ['Errors', number(errorCount), errorCount > 0],
  ];
  const tile = ([name, value, bad = false]: (typeof items)[number]) =>
    `<div class="tile${bad ? ' bad' : ''}"><dt>${name}</dt><dd>${value}</dd></div>`;
  return `<dl class="tiles">${items.map(tile).join('')}</dl>`;
}

function percentiles({ latency: it, histogram }: LoadResult): string {
  // Not by the responses: timeouts may count among the latencies.
  if (histogram.count === 0) return '';
  const names = ['min', 'p50', 'p75', 'p90', 'p95', 'p99', 'p99.9', 'max', 'mean', '± stddev'];
  const values = [it.min, it.p50, it.p75, it.p90, it.p95, it.p99, it.p999, it.max, it.mean, it.stddev];
  return `<section>${table(names.map(n), [values.map(value => n(timeOrNone(value)))], 'stack')}</section>`;
}

function handshakes({ tls }: LoadResult): string {
  if (tls === null) return '';
  const { count, p50, p99, max } = tls.handshake;
  const cells = [number(count), number(tls.resumed), timeOrNone(p50), timeOrNone(p99), timeOrNone(max)];
  const head = ['handshakes', 'resumed', 'p50', 'p99', 'max'];
  return section('TLS', 'until both sides had agreed', table(head.map(n), [cells.map(n)], 'stack'));
}

function verdicts({ verdicts: all }: LoadResult): string {
  if (all.length === 0) return '';
  const rows = all.map(verdict => [
    verdict.condition,
    n(measuredValue(verdict)),
    { text: verdict.ok ? 'ok' : 'failed', of: verdict.ok ? 'good' : 'bad' },
  ]);
  return `<section><h2>Required</h2>${table(['condition', n('measured'), ''], rows)}</section>`;
}

function statuses(result: LoadResult): string {
  const codes = Object.entries(result.statuses).sort(([a], [b]) => (a < b ? -1 : 1));
  if (codes.length === 0) return '';
  const share = (count: number) => (result.responses === 0 ? 0 : count / result.responses);
  const rows = codes.map(([code, count]) => [
    code,
    { text: String(share(count) * 100), of: 'bar' },
    n(number(count)),
    n(percent(share(count))),
  ]);
  return `<section><h2>Responses <span>by status</span></h2>${table(['status', { text: '', of: 'bar' }, n('responses'), n('share')], rows)}</section>`;
}

function errors({ errorCount, errorDetails, errors: kinds }: LoadResult): string {
  const details = Object.entries(errorDetails).sort(([, a], [, b]) => b - a);
  const rows = details.length > 0 ? details : Object.entries(kinds).filter(([, count]) => count > 0);
  const body =
    errorCount === 0
      ? '<p class="none">none</p>'
      : table(
          ['what', n('times')],
          rows.map(([what, count]) => [{ text: what, of: 'bad' }, n(number(count))]),
        );
  return `<section><h2>Errors</h2>${body}</section>`;
}

function threads(result: LoadResult): string {
  if (result.threads.length === 0) return '';
  const most = Math.max(1, ...result.threads.map(thread => thread.responses));
  const rows = result.threads.map(thread => [
    thread.name,
    { text: String((thread.responses / most) * 100), of: 'bar' },
    n(number(thread.responses)),
    n(percent(result.responses === 0 ? 0 : thread.responses / result.responses)),
    n(percent(result.duration === 0 ? 0 : Math.min(1, thread.busy / result.duration))),
  ]);
  const head = ['thread', { text: '', of: 'bar' }, n('responses'), n('share'), n('busy')];
  return `<section><h2>Share <span>by thread</span></h2>${table(head, rows)}</section>`;
}

function hosts({ hosts: all }: LoadResult): string {
  const rows = all.map(host => [
    host.host,
    n(time(host.duration)),
    n(String(host.processors)),
    n(percent(cpuShare(host))),
    n(time(host.cpuUser)),
    n(time(host.cpuSystem)),
  ]);
  const head = ['machine', n('counted for'), n('processors'), n('CPU used'), n('user'), n('system')];
  return `<section><h2>Generator</h2>${table(head, rows, 'stack')}</section>`;
}

/** All that was asked for, as far as it explains the result. */
function settings({ settings: it, method, urls, tls, verdicts: required }: LoadResult): string {
  const rows: Array<[name: string, value: string]> = [
    ['address', urls.join(', ')],
    ['method', method],
    ['connections', number(it.connections)],
    ['threads', number(it.threads)],
    ['duration', it.duration === null ? 'until all were answered' : time(it.duration)],
    ['requests', it.requests === null ? 'as many as the duration allows' : number(it.requests)],
    ['rate', it.rate === 0 ? 'closed loop: each connection sends when it is answered' : `${ratesOf(it)} requests/s`],
    ['pipelining', number(it.pipelining)],
    ['timeout', time(it.timeout)],
    ['timeouts among the latencies', it.timeoutsCount ? 'yes' : 'no'],
    ['warm-up', time(it.warmup)],
    ['requests in turn', it.urls === null ? '' : number(it.urls)],
    ['script', it.script ?? ''],
    ['protocol', it.protocol ?? ''],
    ['headers', it.headers.join(', ')],
    ['body', it.body === 0 ? '' : `${number(it.body)} bytes`],
    ['expected statuses', method === '' ? '' : (it.expect ?? '2xx, 3xx')],
    ['required', required.map(({ condition }) => condition).join(', ')],
    ['ends after', it.stopAfter === null ? '' : `${number(it.stopAfter)} errors`],
    ['certificates', tls === null ? '' : it.insecure ? 'not verified' : 'verified'],
    ['TLS sessions', tls === null ? '' : it.resume ? 'resumed' : 'a whole handshake for each connection'],
  ];
  return section(
    'Settings',
    '',
    table(
      [],
      rows.filter(([, value]) => value !== '').map(([name, value]) => [name, value]),
    ),
  );
}

function footer(result: LoadResult): string {
  const started = new Date(Math.min(...result.hosts.map(host => host.started)));
  const when = Number.isNaN(started.getTime())
    ? ''
    : `${started.toISOString().replace(/\..*/, 'Z').replace('T', ' ')} · `;
  const asked = result.settings.rate > 0 ? 'Latency counts from when a request was due. ' : '';
  return `${when}${number(result.responses)} responses, ${bytes(result.bytesReceived)} received, ${bytes(result.bytesSent)} sent. ${asked}Made by epoll-pool load.`;
}
