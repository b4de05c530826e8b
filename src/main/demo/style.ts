/** Colour, where a terminal will show it. */
import { styleText } from 'node:util';

export type Style = 'bold' | 'dim' | 'red' | 'green';
export type Paint = (style: Style, text: string) => string;

/** Colours only for a terminal that has them, and unless NO_COLOR is set. */
export function painter(output: NodeJS.WriteStream): Paint {
  const { NO_COLOR: refused } = process.env;
  if (!output.isTTY || (refused !== undefined && refused !== '') || !output.hasColors()) return (_, text) => text;
  return (style, text) => styleText(style, text);
}
