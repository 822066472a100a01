/** What the text of a policy tells without running it: the macros it reads, whether it changes messages or signs them. */
import { ScriptFile } from '../lua/script/script-file.ts';
import { macroAskedFor } from '../modules/smtp/macro.ts';

export interface MacroRead {
  /** As the script has it: `{client_port}`, or `client_port`. */
  readonly written: string;
  /** `{client_port}`, or `i`. */
  readonly symbol: string;
  /** Whether the server asks the MTA for it: by a name it does not know it cannot. */
  readonly isAskedFor: boolean;
  readonly stage: string;
  readonly line: number;
}

/** A key that the policy signs with, all of which stands in its text. */
export interface KeyUse {
  readonly domain: string;
  readonly selector: string;
  /** Of the file. */
  readonly path: string;
  readonly line: number;
}

export interface PolicyFacts {
  readonly path: string;
  /** Why there is no script. */
  readonly problem: string | undefined;
  /** In latin1; '' where it does not compile. */
  readonly text: string;
  /** All strings in it. */
  readonly names: ReadonlySet<string>;
  readonly macros: readonly MacroRead[];
  /** It may change headers or body. */
  readonly changesMessages: boolean;
  readonly signs: boolean;
  readonly keys: readonly KeyUse[];
  readonly usesDns: boolean;
}

const CHANGES =
  /\bheader\s*\.\s*(add|insert|modify|delete|set)\b|\bbody\s*\.\s*replace\b|\bmime\s*\.\s*(add|banner)\b/;
/** Methods of parts, and of what rspamd has said. */
const PART_CHANGES = /:\s*(remove\s*\(|replace\s*[({])/;
const SCAN_CHANGES = /:\s*apply\s*\(/;

function changesMessages(code: string): boolean {
  return (
    CHANGES.test(code) ||
    (/\bmime\s*\.\s*parts\b/.test(code) && PART_CHANGES.test(code)) ||
    (/\bscan\s*\.\s*rspamd\b/.test(code) && SCAN_CHANGES.test(code))
  );
}

/** Reads and compiles the policy. */
export function policyFacts(path: string): PolicyFacts {
  const current = new ScriptFile(path).current();
  const text = current.script === undefined ? '' : Buffer.from(current.source).toString('latin1');
  const code = text.replace(/--.*$/gm, '');
  return {
    path,
    problem: current.failure?.message,
    text,
    names: current.script?.names() ?? new Set(),
    macros: macrosIn(code),
    changesMessages: changesMessages(code),
    signs: /\bauth\s*\.\s*(sign|seal)\b/.test(code),
    keys: keysIn(code),
    usesDns: /\b(dns|auth)\s*\.\s*\w/.test(code.replace(/\bsess\s*\.\s*auth\b/g, '')),
  };
}

/** Those that stand as a string in a call of smtp.macro. */
function macrosIn(text: string): MacroRead[] {
  const found: MacroRead[] = [];
  for (const [index, code] of text.split('\n').entries()) {
    for (const [, , written = ''] of code.matchAll(/\bmacro\s*\(?\s*(["'])([^"']+)\1/g)) {
      const { symbol, stage } = macroAskedFor(written);
      const bare = written.replace(/^\{(.*)\}$/, '$1');
      const spelt = bare.length === 1 ? bare : `{${bare}}`;
      found.push({
        written,
        symbol: symbol ?? spelt,
        isAskedFor: symbol !== undefined,
        stage: stage ?? 'mail',
        line: index + 1,
      });
    }
  }
  return found;
}

/** Of calls whose table has domain, selector and an absolute path as strings. */
function keysIn(text: string): KeyUse[] {
  return [...text.matchAll(/\bauth\s*\.\s*(?:sign|seal)\s*\(?\s*\{([^{}]*)/g)].flatMap(
    ({ 1: table = '', index }) => {
      const field = (name: string) => new RegExp(`\\b${name}\\s*=\\s*(["'])([^"']*)\\1`).exec(table)?.[2];
      const [domain, selector, path] = [field('domain'), field('selector'), field('key')];
      if (domain === undefined || selector === undefined || path?.startsWith('/') !== true) return [];
      return [{ domain, selector, path, line: text.slice(0, index).split('\n').length }];
    },
  );
}
