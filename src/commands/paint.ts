/** Text for a terminal: colours where the reader can see them, and nothing in it that could move the cursor. */

import { styleText } from 'node:util';
import { visible } from '../text/visible.ts';

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'magenta' | 'bold' | 'dim';

/** Puts text in a colour, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string;

/** Colours if the stream is a terminal that has them and NO_COLOR does not say otherwise. */
export function paintFor(stream: NodeJS.WriteStream): Paint {
  const coloured = stream.isTTY === true && stream.hasColors();
  return (colour, text) => (coloured && text !== '' ? styleText(colour, text) : text);
}

/** As a Lua string in double quotes, cut to about so many characters. */
export function quoted(text: string, length = 60): string {
  const cut = text.length > length ? text.slice(0, length) : text;
  const escaped = visible(cut.replace(/["\\]/g, '\\$&'));
  return `"${escaped}"${cut === text ? '' : '...'}`;
}
