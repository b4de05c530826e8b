/** Colour, where a terminal will show it. */
import { styleText } from 'node:util';

export type Style = 'bold' | 'dim' | 'red' | 'green';
export type Paint = (style: Style, text: string) => string;

/** Colours only for a terminal that has them; hasColors() heeds NO_COLOR. */
export function painter(output: NodeJS.WriteStream): Paint {
  if (!output.isTTY || !output.hasColors()) return (_, text) => text;
  return (style, text) => styleText(style, text);
}
