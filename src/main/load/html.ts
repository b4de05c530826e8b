/** The little of HTML that the pages are made of: tables, charts, the frame around them. Nothing is fetched, nothing runs. */
import { STYLE } from './report-style.js';
import { escaped } from './svg.js';

export interface Cell {
  readonly text: string;
  /** Its class; `bar`: a bar of `text` percent. */
  readonly of?: string;
}

/** A number, aligned to the right. */
export function n(text: string): Cell {
  return { text, of: 'n' };
}

/** @returns a whole document, in UTF-8 */
export function page(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
<main>
${content}
</main>
</html>
`;
}

export function section(title: string, about: string, content: string): string {
  const words = about === '' ? '' : ` <span>${escaped(about)}</span>`;
  return content === '' ? '' : `<section><h2>${escaped(title)}${words}</h2>${content}</section>`;
}

export function chart(title: string, about: string, svg: string, legend = ''): string {
  return svg === '' ? '' : section(title, about, `${legend}<div class="chart">${svg}</div>`);
}

/** What each line of a chart is. @param entries a line's class and its name */
export function legend(entries: ReadonlyArray<readonly [of: string, name: string]>): string {
  const key = (of: string) =>
    `<svg class="key" viewBox="0 0 20 4" aria-hidden="true"><path class="${of}" d="M1 2L19 2"/></svg>`;
  return `<p class="legend">${entries.map(([of, name]) => `<span>${key(of)}${escaped(name)}</span>`).join('')}</p>`;
}

/**
 * @param of `stack`: on a telephone each cell is a line, with its column's name before it; `stack titled`: the first is
 *   the title of the others
 */
export function table(
  head: ReadonlyArray<string | Cell>,
  rows: ReadonlyArray<ReadonlyArray<string | Cell>>,
  of: '' | 'stack' | 'stack titled' = '',
): string {
  const cell = (tag: string, it: string | Cell, column: number) => {
    const classes = typeof it === 'string' || it.of === undefined ? '' : ` class="${it.of}"`;
    const name = of === '' || tag === 'th' ? '' : ` data-name="${escaped(textOf(head[column] ?? ''))}"`;
    return `<${tag}${classes}${name}>${escaped(textOf(it))}</${tag}>`;
  };
  const row = (tag: string, cells: ReadonlyArray<string | Cell>) =>
    `<tr>${cells.map((it, i) => (typeof it !== 'string' && it.of === 'bar' ? bar(tag, it.text) : cell(tag, it, i))).join('')}</tr>`;
  const begin = head.length === 0 ? '' : row('th', head);
  return `<table${of === '' ? '' : ` class="${of}"`}>${begin}${rows.map(cells => row('td', cells)).join('')}</table>`;
}

function textOf(cell: string | Cell): string {
  return typeof cell === 'string' ? cell : cell.text;
}

function bar(tag: string, share: string): string {
  return tag === 'th'
    ? '<th class="bar"></th>'
    : `<td class="bar"><i style="width:${Number(share).toFixed(2)}%"></i></td>`;
}
