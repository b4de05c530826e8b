// The declarations in docs/api/: each is the one in dist/, put below a comment that names it:
//
//     <!-- epoll-pool/sys: timerfd, setTimer -->
//
// Without arguments the pages are brought up to date; `--check` only says what is stale, or missing: every export has its place.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const PAGES = 'docs/api';
const MARK = /^<!-- (epoll-pool[\w/]*): ([^>]+) -->\n+(?:```ts\n[\s\S]*?^```\n)?/gm;

const isCheck = process.argv.includes('--check');
const texts = new Map();
const complaints = [];
const entries = new Map(
  Object.entries(JSON.parse(readFileSync('package.json', 'utf8')).exports)
    .map(([path, target]) => [path.replace('.', 'epoll-pool'), target.types ?? target.import?.types])
    // The threads' module is named by its file, for bundles; it offers nothing.
    .filter(([name, file]) => file !== undefined && name !== 'epoll-pool/thread'),
);

/** Names with a place, by entry; and the declarations that they stand for, which may have several. */
const shown = new Set();
const placed = new Set();
for (const name of readdirSync(PAGES).filter(name => name.endsWith('.md'))) {
  const file = join(PAGES, name);
  const page = readFileSync(file, 'utf8');
  const fresh = page.replaceAll(MARK, (_block, entry, names) => {
    const declarations = names.split(',').map(one => shownAs(file, entry, one.trim()));
    return `<!-- ${entry}: ${names} -->\n\n\`\`\`ts\n${declarations.join('\n\n')}\n\`\`\`\n`;
  });
  if (fresh === page) continue;
  if (isCheck) complaints.push(`${file} is stale: npm run docs`);
  else writeFileSync(file, fresh);
}
for (const [entry, file] of entries) {
  for (const [name, declared] of exportsOf(file))
    if (!placed.has(`${declared.file} ${declared.name}`))
      complaints.push(`${name} of ${entry} has no place in ${PAGES}/`);
}
for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length > 0 ? 1 : 0;

/** The declaration of one name, for its page. */
function shownAs(page, entry, name) {
  const key = `${entry} ${name}`;
  const file = entries.get(entry);
  if (file === undefined) return complain(`${page}: there is no ${entry}`);
  if (shown.has(key)) complain(`${page}: ${key} has a place already`);
  shown.add(key);
  const exported = exportsOf(file);
  // What others refer to, and is not exported by a name of its own.
  const candidates = exported.has(name)
    ? [exported.get(name)]
    : [...reachable(file)].map(path => ({ file: path, name })).filter(one => declaration(one) !== undefined);
  const [found] = candidates;
  if (candidates.length !== 1 || found === undefined)
    return complain(`${page}: ${key} is declared in ${candidates.length} files`);
  placed.add(`${found.file} ${found.name}`);
  return declaration(found) ?? complain(`${page}: ${key} is exported, and not declared`);
}

function complain(text) {
  complaints.push(text);
  return '';
}

function textOf(file) {
  if (!texts.has(file)) texts.set(file, readFileSync(file, 'utf8'));
  return texts.get(file);
}

function resolved(from, specifier) {
  return relative('.', join(dirname(from), specifier.replace(/\.js$/, '.d.ts')));
}

/** What a module exports, by the names that its users see: where each is declared, and by which name. */
function exportsOf(file) {
  const found = new Map();
  for (const [, list, specifier] of textOf(file).matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)'/gm)) {
    for (const item of list
      .split(',')
      .map(text => text.trim().replace(/^type /, ''))
      .filter(Boolean)) {
      const [local, name = local] = item.split(' as ');
      const next = resolved(file, specifier);
      found.set(name, exportsOf(next).get(local) ?? { file: next, name: local });
    }
  }
  for (const [, name] of textOf(file).matchAll(
    /^export (?:declare )?(?:class|interface|type|function|const|let) (\w+)/gm,
  ))
    found.set(name, { file, name });
  return found;
}

/** The module, and all that its declarations import. */
function reachable(file, seen = new Set()) {
  if (seen.has(file) || !existsSync(file)) return seen;
  seen.add(file);
  for (const [, specifier] of textOf(file).matchAll(/^(?:import|export) [^'";]*from '(\.[^']+)'/gm))
    reachable(resolved(file, specifier), seen);
  return seen;
}

/** With its comment, as a user may think of it; undefined: it is not there. */
function declaration({ file, name }) {
  const begin = new RegExp(
    `^(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|function|const|let) ${name}\\b`,
  );
  const lines = textOf(file).split('\n');
  const first = lines.findIndex(line => begin.test(line));
  if (first < 0) return undefined;
  let last = first;
  if (!/[;}]$/.test(lines[first] ?? '')) while (!/^}/.test(lines[++last] ?? '}'));
  let from = first;
  if (/\*\/$/.test(lines[first - 1] ?? '')) while (!/^\s*\/\*\*/.test(lines[--from] ?? '/**'));
  return lines
    .slice(from, last + 1)
    .filter(line => !/^\s*(#private|private constructor\(\));|^ {4}(on|addListener|prependListener)</.test(line))
    .map(line =>
      line
        .replace(/^export /, '')
        .replace(/^declare /, '')
        .replace(/^( {4})+/, spaces => ' '.repeat(spaces.length / 2)),
    )
    .join('\n');
}
