/** A first policy from the ready ones: its script and its tests, put together from the pieces in `policies/start`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { READY_POLICIES } from '../../options/options.ts';

/** Where the ready policies are, to be read and copied. */
export const POLICY_FOLDER = join(READY_POLICIES, 'policy');
const PIECES = join(READY_POLICIES, 'start');

/** In the order in which they run: what costs least, and refuses most, comes first. */
const ORDER = [
  ...['ratelimit', 'closed_list', 'callahead', 'greylist', 'dmarc', 'attachments', 'antivirus'],
  ...['impersonation', 'external_tag', 'disclaimer', 'archive_copy'],
];

/** They need no server but the DNS, and nothing to be filled in. */
export const SENSIBLE: readonly string[] = ['ratelimit', 'greylist', 'dmarc', 'attachments'];

/** The domain for which the pieces are written. */
export const ANY_DOMAIN = 'example.com';

export interface ReadyPolicy {
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
}

/** The policies to choose from, in their order. */
export function readyPolicies(): ReadyPolicy[] {
  const there = new Set(readdirSync(POLICY_FOLDER).map((file) => file.replace(/\.lua$/, '')));
  return ORDER.filter((name) => there.has(name)).map((name) => ({ name, summary: summaryOf(name) }));
}

/** The beginning of the comment that the file begins with. */
function summaryOf(name: string): string {
  const lines = readFileSync(join(POLICY_FOLDER, `${name}.lua`), 'utf8').split('\n');
  const end = lines.findIndex((line) => !line.startsWith('-- '));
  const text = lines
    .slice(0, end)
    .map((line) => line.slice('-- '.length))
    .join(' ');
  return text.replace(/[.:](?: .*)?$/, '');
}

/** The script with these policies, `smtpf.lua`, and its tests. */
export function firstPolicy(
  names: readonly string[],
  domain: string,
): { readonly script: string; readonly tests: string } {
  const chosen = ORDER.filter((name) => names.includes(name));
  const filled = (piece: string) => readFileSync(join(PIECES, piece), 'utf8').replaceAll(ANY_DOMAIN, domain);
  const script = `${filled('head.lua')}${chosen.map((name) => filled(`${name}.lua`)).join('')}}\n`;
  const worlds: Readonly<Record<string, string>> = {
    callahead: 'test.callahead { ["*"] = true }\n',
    antivirus: 'test.clamd(false)\n',
  };
  const world = chosen.map((name) => worlds[name] ?? '').join('');
  const cases = chosen.map((name) => filled(`${name}.cases.lua`));
  return {
    script,
    tests: [`${filled('head.cases.lua')}${world}`, ...cases].join('\n').replace(/\n{3,}/g, '\n\n'),
  };
}
