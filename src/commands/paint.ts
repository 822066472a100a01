/** Text for a terminal: colours where the reader can see them, and nothing in it that could move the cursor. */

import { isUtf8 } from 'node:buffer';
import { styleText } from 'node:util';
import { escapeByte } from '../lua-escape.ts';

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'magenta' | 'bold' | 'dim';

/** Puts text in a colour, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string;

/** Colours if the stream is a terminal that has them and NO_COLOR does not say otherwise. */
export function paintFor(stream: NodeJS.WriteStream): Paint {
  const coloured = stream.isTTY === true && stream.hasColors();
  return (colour, text) => (coloured && text !== '' ? styleText(colour, text) : text);
}

/** Bytes as latin1, made safe to be shown in one line: controls and what is not UTF-8 are written `\xHH`. */
export function visible(text: string): string {
  const utf8 = isUtf8(Buffer.from(text, 'latin1'));
  return text
    .replace(/\xc2([\x80-\x9f])/g, (pair) => (utf8 ? [...pair].map(escapeByte).join('') : pair))
    .replace(utf8 ? /[^\x20-\x7e\x80-\xff]/g : /[^\x20-\x7e]/g, escapeByte);
}

/** As a Lua string in double quotes, cut to about so many characters. */
export function quoted(text: string, length = 60): string {
  const cut = text.length > length ? text.slice(0, length) : text;
  const escaped = visible(cut.replace(/["\\]/g, '\\$&'));
  return `"${escaped}"${cut === text ? '' : '...'}`;
}
