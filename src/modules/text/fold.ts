/** Text as it looks, for comparison: what a reader takes for the same becomes the same. */

/** Letters that look like the Latin letter in front of them. What is the same after NFKD and without marks is not named. */
const LOOKALIKES = `a а α ɑ ᴀ ａ
b в ь ƅ ʙ Ꮟ β
c с ϲ ᴄ ⅽ ꞓ
d ԁ đ ð ᴅ ɗ Ꮷ
e е ҽ ɛ ε ᴇ ℮ є
f ք ƒ ꞙ
g ɡ ց ɢ ƍ
h һ հ ħ ʜ ɦ н
i і ı ι ɪ ɩ ӏ ǀ ⅰ
j ј ϳ ᴊ ɉ
k к κ ᴋ ĸ
l ł ʟ ɭ ⅼ
m м ᴍ ⅿ ɱ
n п η ո ɴ ŋ ռ
o о ο օ ø σ ᴏ ɵ ө ס
p р ρ ᴘ þ ƿ
q ԛ գ ɋ
r г ᴦ ʀ ɼ ꭇ
s ѕ ꜱ ʂ
t т τ ᴛ ŧ ƭ
u υ ս ᴜ ʋ ц
v ν ѵ ᴠ ⅴ
w ѡ ω ԝ ᴡ ա ɯ ш
x х χ ҳ ⅹ
y у γ ʏ ү ყ ў
z ᴢ ʐ ƶ`;

const FOLDED: ReadonlyMap<string, string> = new Map(
  LOOKALIKES.split('\n').flatMap((line) => {
    const [latin = '', ...others] = line.split(' ');
    return others.map((other): [string, string] => [other, latin]);
  }),
);

/** Joiners, soft hyphens, directions, variation selectors, tags: nobody sees them. */
const UNSEEN =
  /\u034f|[\u00ad\u061c\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]|[\u{e0000}-\u{e0fff}]/gu;
/** What is as empty as a blank and is none to NFKD: ends of lines, fillers, a pattern without dots. */
const EMPTY = /[\u115f\u1160\u1680\u2028\u2029\u2800\u3164\uffa0]/g;
const MARKS = /\p{M}+/gu;

export function folded(text: string): string {
  const plain = text
    .replace(UNSEEN, '')
    .replace(EMPTY, ' ')
    .normalize('NFKD')
    .replace(MARKS, '')
    .toLowerCase();
  // Lower case may have brought marks of its own.
  return Array.from(plain.replace(MARKS, ''), (letter) => FOLDED.get(letter) ?? letter).join('');
}
