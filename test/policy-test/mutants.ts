/**
 * Mutants of a policy: copies with one small mistake each, to see whether its tests notice. By hand:
 *
 *     node --import tsx test/policy-test/mutants.ts examples/access.lua [FROM-LINE [TO-LINE]]
 *
 * prints those that no test notices, and how many there were.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { resolveOptions } from '../../src/options/options.ts';
import { runTestFile } from '../../src/policy-test/test-file.ts';

export interface Mutant {
  readonly line: number;
  /** `a == b` -> `a ~= b`, as the line is then. */
  readonly change: string;
  readonly source: string;
}

/** Tokens and what may be mistaken for them. */
const SWAPS: readonly (readonly [token: RegExp, other: string])[] = [
  [/==/, '~='],
  [/~=/, '=='],
  [/<=/, '<'],
  [/>=/, '>'],
  [/(?<![<])<(?![<=])/, '<='],
  [/(?<![>])>(?![>=])/, '>='],
  [/<</, '>>'],
  [/>>/, '<<'],
  [/\band\b/, 'or'],
  [/\bor\b/, 'and'],
  [/\bnot /, ''],
  [/\btrue\b/, 'false'],
  [/\bfalse\b/, 'true'],
  [/ \+ /, ' - '],
  [/ - /, ' + '],
  [/\bif .+? then\b/, 'if false then'],
  [/\bif .+? then\b/, 'if true then'],
  [/\breturn\b.*?(?=\bend\b|$)/, ''],
  [/\bcode\.reject\b/, 'code.again'],
  [/\bcode\.again\b/, 'code.reject'],
  [/\bcode\.bad_arg\b/, 'code.reject'],
  [/\blower\b/, 'upper'],
  [/\bmin\b/, 'max'],
  [/\bmax\b/, 'min'],
];
const NUMBER = /\b(?<!\.)\d+\b/;
/** A statement that fills its line, and is no declaration. */
const STATEMENT = /^\s+(?!local\b|return\b|if\b|for\b|while\b|end\b|else)[\w.:[\]"#,+ ]+(=|\().*$/;

/** Places of the source that are strings or comments are left as they are. */
export function mutantsOf(source: string): Mutant[] {
  const hidden = source.replace(
    /--\[\[[\s\S]*?\]\]|--[^\n]*|\[\[[\s\S]*?\]\]|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g,
    (text) => text.replace(/[^\n]/g, '\0'),
  );
  const lines = source.split('\n');
  return hidden.split('\n').flatMap((code, index) => {
    const line = lines[index] ?? '';
    const changed = (text: string): Mutant => ({
      line: index + 1,
      change: `${line.trim()}  ->  ${text.trim()}`,
      source: lines.with(index, text).join('\n'),
    });
    const found: Mutant[] = [];
    const replaceAll = (token: RegExp, make: (text: string) => string): void => {
      for (const match of code.matchAll(new RegExp(token, 'g'))) {
        const end = match.index + match[0].length;
        const text = line.slice(0, match.index) + make(line.slice(match.index, end)) + line.slice(end);
        if (text !== line) found.push(changed(text));
      }
    };
    for (const [token, other] of SWAPS) replaceAll(token, () => other);
    replaceAll(NUMBER, (digits) => String(Number(digits) + 1));
    if (STATEMENT.test(code)) found.push(changed(''));
    return found;
  });
}

/** Whether a test of the policy fails, or cannot run, with the mutant in its place. */
export async function isNoticed(policy: string, mutated: string): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-mutant-'));
  try {
    const copy = join(directory, basename(policy));
    writeFileSync(copy, mutated);
    const tests = copy.replace(/\.lua$/, '_test.lua');
    copyFileSync(policy.replace(/\.lua$/, '_test.lua'), tests);
    const options = resolveOptions(new Map(), {});
    const { cases, broken } = await runTestFile(tests, { options, coverage: false, bail: true });
    return broken !== undefined || cases.some(({ failure }) => failure !== undefined);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const [, program = '', policy, from = '1', to = '100000'] = process.argv;
if (policy !== undefined && import.meta.url === pathToFileURL(program).href) {
  let noticed = 0;
  const mutants = mutantsOf(readFileSync(policy, 'latin1')).filter(
    ({ line }) => line >= Number(from) && line <= Number(to),
  );
  for (const { line, change, source } of mutants) {
    if (await isNoticed(policy, source)) noticed += 1;
    else console.log(`${policy}:${line}: ${change}`);
  }
  console.log(`${noticed} of ${mutants.length} noticed`);
}
