// The pictures of docs/how-it-works.md: scripts/pictures/NAME.txt, drawn as docs/pictures/NAME.svg. Lines of box-drawing characters become
// lines, triangles (▶ ◀ ▲ ▼) heads of arrows, closed corners filled boxes; all else is text. The first line of the text is the picture's
// title. `--check` only says which pictures are stale.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const WIDTH = 8;
const HEIGHT = 18;
const MARGIN = 12;
const [LEFT, RIGHT, UP, DOWN] = [1, 2, 4, 8];
/** How far an arrow goes on beyond its cell: to the box whose edge is in the middle of the next one. */
const REACH = { '▶': [0.9, 0], '◀': [-0.9, 0], '▲': [0, -1.4], '▼': [0, 1.4] };
/** Where the line of each character goes, from the middle of its cell. */
const LINES = new Map([
  ['─', LEFT | RIGHT],
  ['│', UP | DOWN],
  ['┌', RIGHT | DOWN],
  ['┐', LEFT | DOWN],
  ['└', RIGHT | UP],
  ['┘', LEFT | UP],
  ['├', UP | DOWN | RIGHT],
  ['┤', UP | DOWN | LEFT],
  ['┬', LEFT | RIGHT | DOWN],
  ['┴', LEFT | RIGHT | UP],
  ['┼', LEFT | RIGHT | UP | DOWN],
  ['▶', LEFT],
  ['◀', RIGHT],
  ['▲', DOWN],
  ['▼', UP],
]);
const HEADS = new Map([
  ['▶', 'M-4,-4L4,0L-4,4Z'],
  ['◀', 'M4,-4L-4,0L4,4Z'],
  ['▲', 'M-4,4L0,-4L4,4Z'],
  ['▼', 'M-4,-4L0,4L4,-4Z'],
]);
const LIGHT = { ink: '#1f2328', line: '#59636e', fill: '#e8f1fb', ground: '#fff' };
const DARK = { ink: '#e6edf3', line: '#9198a1', fill: '#17283d', ground: '#0d1117' };
const colours = ({ ink, line, fill, ground }) =>
  `text{fill:${ink}}.lines{stroke:${line}}.heads{fill:${line}}.boxes{fill:${fill}}.ground{fill:${ground}}`;
const STYLE =
  'text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}.lines{fill:none;stroke-width:1.5;stroke-linecap:round}' +
  `${colours(LIGHT)}@media(prefers-color-scheme:dark){${colours(DARK)}}`;

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const SOURCES = 'scripts/pictures';
const TARGETS = 'docs/pictures';
const isCheck = process.argv.includes('--check');
mkdirSync(TARGETS, { recursive: true });
for (const name of readdirSync(SOURCES)) {
  const file = join(TARGETS, `${basename(name, '.txt')}.svg`);
  const svg = draw(readFileSync(join(SOURCES, name), 'utf8'));
  if (!isCheck) writeFileSync(file, svg);
  else if (readFileSync(file, 'utf8') !== svg) {
    console.error(`${file} is stale: npm run docs`);
    process.exitCode = 1;
  }
}

function draw(source) {
  const [title = '', ...rows] = source.trimEnd().split('\n');
  const cells = rows.map(row => [...row.trimEnd()]);
  const width = Math.max(...cells.map(row => row.length)) * WIDTH + 2 * MARGIN;
  const height = cells.length * HEIGHT + 2 * MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">`,
    `<title>${escaped(title)}</title><style>${STYLE}</style><rect class="ground" width="100%" height="100%" rx="6"/>`,
    `<g transform="translate(${MARGIN} ${MARGIN})">`,
    `<g class="boxes">${boxes(cells)}</g>`,
    `<path class="lines" d="${lines(cells)}"/>`,
    `<g class="heads">${heads(cells)}</g>`,
    ...texts(cells),
    '</g></svg>\n',
  ].join('\n');
}

function lines(cells) {
  let path = '';
  each(cells, (char, x, y) => {
    const to = LINES.get(char) ?? 0;
    const [left, right] = [to & LEFT ? 0 : WIDTH / 2, to & RIGHT ? WIDTH : WIDTH / 2];
    const [up, down] = [to & UP ? 0 : HEIGHT / 2, to & DOWN ? HEIGHT : HEIGHT / 2];
    if (left !== right) path += `M${x * WIDTH + left},${y * HEIGHT + HEIGHT / 2}h${right - left}`;
    if (char === '▼') path += `M${x * WIDTH + WIDTH / 2},${y * HEIGHT}v${HEIGHT * 1.2}`;
    else if (char === '▲') path += `M${x * WIDTH + WIDTH / 2},${(y + 1) * HEIGHT}v${HEIGHT * -1.2}`;
    else if (up !== down) path += `M${x * WIDTH + WIDTH / 2},${y * HEIGHT + up}v${down - up}`;
  });
  // Runs of one direction are one stroke.
  return path.replaceAll(
    /M(\d+),(\d+)h8(?:M\d+,\2h8(?=M|$))+/g,
    (run, x, y) => `M${x},${y}h${8 * run.split('h').length - 8}`,
  );
}

function heads(cells) {
  let marks = '';
  each(cells, (char, x, y) => {
    const head = HEADS.get(char);
    if (head === undefined) return;
    const [dx, dy] = REACH[char];
    const at = `${((x + 0.5) * WIDTH + (dx * WIDTH) / 2).toFixed(1)} ${((y + 0.5) * HEIGHT + (dy * HEIGHT) / 2).toFixed(1)}`;
    marks += `<path d="${head}" transform="translate(${at})"/>`;
  });
  return marks;
}

/** Wherever four corners are joined by lines. */
function boxes(cells) {
  const has = (x, y, side) => ((LINES.get(cells[y]?.[x]) ?? 0) & side) !== 0;
  let found = '';
  each(cells, (char, x, y) => {
    if (char !== '┌') return;
    let right = x + 1;
    while (has(right, y, LEFT) && cells[y]?.[right] !== '┐') right++;
    let bottom = y + 1;
    while (has(x, bottom, UP) && cells[bottom]?.[x] !== '└') bottom++;
    if (cells[y]?.[right] !== '┐' || cells[bottom]?.[x] !== '└' || cells[bottom]?.[right] !== '┘') return;
    const size = `width="${(right - x) * WIDTH}" height="${(bottom - y) * HEIGHT}"`;
    found += `<rect x="${(x + 0.5) * WIDTH}" y="${(y + 0.5) * HEIGHT}" ${size}/>`;
  });
  return found;
}

/** Words with single spaces between them are one text, as wide as its cells whatever the font. */
function texts(cells) {
  return cells.flatMap((row, y) => {
    const plain = row.map(char => (LINES.has(char) ? ' ' : char)).join('');
    return [...plain.matchAll(/\S+(?: \S+)*/g)].map(({ 0: text, index }) => {
      const [x, length] = [[...plain.slice(0, index)].length * WIDTH, [...text].length * WIDTH];
      return `<text x="${x}" y="${y * HEIGHT + 13}" textLength="${length}">${escaped(text)}</text>`;
    });
  });
}

function each(cells, call) {
  for (const [y, row] of cells.entries()) for (const [x, char] of row.entries()) call(char, x, y);
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
