/** What to write instead where a script does not compile because another language, or another Lua, is meant. */

interface Habit {
  /** Found in a line without its texts and comments. */
  readonly pattern: RegExp;
  /** What Lua must have said, where the line alone does not tell. */
  readonly after?: RegExp;
  readonly hint: (match: RegExpExecArray) => string;
}

const said = (hint: string) => () => hint;

/** In the order in which they are looked for: what is longer comes first. */
const HABITS: readonly Habit[] = [
  {
    pattern: /<\s*(const|close)\s*>/,
    hint: ([, name]) =>
      `attributes are of Lua 5.4, this is Lua 5.3: remove <${name}>${name === 'close' ? ' and call close()' : ''}`,
  },
  { pattern: /!=/, hint: said('"not equal" is ~=') },
  { pattern: /<>/, hint: said('"not equal" is ~=') },
  { pattern: /&&/, hint: said('"and" is a word in Lua: and') },
  { pattern: /\|\|/, hint: said('"or" is a word in Lua: or') },
  { pattern: /(\w+)\s*\+\+/, hint: ([, name]) => `there is no ++: ${name} = ${name} + 1` },
  {
    pattern: /([\w.[\]]+)\s*(\.\.|[-+*/%^|&])=(?!=)/,
    hint: ([, name, operator]) => `there is no ${operator}=: ${name} = ${name} ${operator} ...`,
  },
  { pattern: /\?\?/, hint: said('a default is written with or: x or y') },
  { pattern: /\?[^?]*:/, hint: said('there is no ? : : write x and y or z') },
  { pattern: /!\s*[\w(]/, hint: said('"not" is a word in Lua: not x') },
  { pattern: /\b(elsif|elif|elseif\s+if)\b/, hint: said('it is called elseif') },
  { pattern: /\belse\s+if\b/, hint: said('elseif is one word; else if needs an end of its own') },
  {
    pattern: /(^|[^:\w])continue\s*(;|\bend\b|$)/,
    hint: said('there is no continue: goto continue, and ::continue:: before the end of the loop'),
  },
  { pattern: /\/\*|\*\//, hint: said('comments begin with --, long ones are --[[ ... ]]') },
  { pattern: /(^|\s)\/\//, hint: said('comments begin with --; // divides') },
  { pattern: /^\s*#/, hint: said('comments begin with --') },
  { pattern: /^\s*(const|var|let)\s/, hint: said('variables are declared with local') },
  { pattern: /^\s*(switch|case)\b/, hint: said('there is no switch: if and elseif, or a table') },
  { pattern: /\b(try|catch)\b\s*[{(]/, hint: said('errors are caught with pcall(function)') },
  { pattern: /^\s*(def|func|fn|sub)\s/, hint: said('functions are declared with function') },
  { pattern: /^\s*(import|from|use)\s/, hint: said('modules are loaded with require') },
  { pattern: /^\s*foreach\b/, hint: said('it is called for: for i, x in ipairs(list) do') },
  { pattern: /=>/, hint: said('functions are written function(x) return ... end') },
  { pattern: /\bfor\b.*\bin\s+\d+\s*\.\.\s*\d/, hint: said('it is written for i = 1, 10 do') },
  { pattern: /\bfor\b.*\bof\b/, hint: said('it is written for i, x in ipairs(list) do') },
  { pattern: /\bif\b[^=~<>]*[^=~<>]=[^=].*\bthen\b/, hint: said('"equal" is ==') },
  {
    pattern: /\bif\b(?!.*\bthen\b)/,
    after: /'then' expected/,
    hint: said('then stands behind the condition of an if'),
  },
  {
    pattern: /\bwhile\b(?!.*\bdo\b)/,
    after: /'do' expected/,
    hint: said('do stands behind the condition of a while'),
  },
  { pattern: /\breturn\s+\d{3}\s*""/, hint: said('a comma stands between the code and the text') },
  { pattern: /=\s*\[(?!\[|=)/, hint: said('tables and lists are written { ... }') },
  { pattern: /\)\s*\{|^\s*\}/, hint: said('blocks end with end, and have no braces') },
];

/**
 * @param latin1 the script
 * @param line where Lua stopped, counted from 1
 * @param message what Lua said
 */
export function syntaxHint(latin1: string, line: number, message: string): string | undefined {
  const scope = /jumps into the scope of local '(\w+)'/.exec(message);
  if (scope) {
    return `declare ${scope[1]} before the goto, or put the lines up to the label into do ... end`;
  }
  const lines = latin1.split('\n');
  // Lua stops at the first word that does not fit, which may be on a later line.
  const last = lines.slice(0, line).reverse().map(bare);
  const nearest = [last[0] ?? '', last.slice(1).find((text) => text.trim() !== '') ?? ''];
  for (const text of nearest) {
    const hint = hintIn(text, message);
    if (hint !== undefined) return hint;
  }
  // A block that is not closed is noticed at the end of the file.
  const isOpen = message.includes("'end' expected") && lines.some((text) => /\belse\s+if\b/.test(bare(text)));
  return isOpen ? 'elseif is one word; else if needs an end of its own' : undefined;
}

function hintIn(text: string, message: string): string | undefined {
  for (const { pattern, after, hint } of HABITS) {
    const match = after === undefined || after.test(message) ? pattern.exec(text) : null;
    if (match) return hint(match);
  }
  return undefined;
}

/** A line without what stands in its texts, and without its comment. */
function bare(line: string): string {
  return line
    .replace(/"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/g, '""')
    .replace(/--.*$/, '')
    .replace(/\r$/, '');
}
