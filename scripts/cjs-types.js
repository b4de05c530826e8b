// Types for CommonJS: TypeScript under node16 takes a .d.ts of this package for an ES module, which require() cannot have
// there (Node can, since 20.19). So each file of types that an entry leads to has a copy for require() beside it.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const RELATIVE = /((?:from|import)\s*\(?\s*['"])(\.[^'"]*)\.js(['"])/g;

/** @param entries files of types */
export function writeCommonJsTypes(entries) {
  const seen = new Set(entries);
  for (const file of seen) {
    const text = readFileSync(file, 'utf8');
    for (const [, , path] of text.matchAll(RELATIVE)) seen.add(`${join(dirname(file), path)}.d.ts`);
    writeFileSync(file.replace(/\.d\.ts$/, '.d.cts'), text.replaceAll(RELATIVE, '$1$2.cjs$3'));
  }
}
