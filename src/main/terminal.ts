/** Text for a terminal: colours where it has them, columns, and nothing that it would take for a command. */
import { styleText } from 'node:util';

/** Where text goes: a stream, or what collects it. */
export interface Output {
  write(text: string): unknown;
  hasColors?(): boolean;
}

export type Style = Parameters<typeof styleText>[0];
export type Paint = (style: Style, text: string) => string;

/** Colours if the output has them (FORCE_COLOR and NO_COLOR are heeded by hasColors). */
export function paintFor(out: Output): Paint {
  return out.hasColors?.() === true ? styleText : plain;
}

/** No colours. */
export function plain(_style: Style, text: string): string {
  return text;
}

/**
 * Rows of cells, one below the other; two blanks between columns.
 *
 * @param right columns that end, not begin, one below the other
 */
export function columns(rows: ReadonlyArray<readonly string[]>, right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  return rows.map(row =>
    row
      .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** Control characters as `?`: names of files and processes can hold anything. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}
