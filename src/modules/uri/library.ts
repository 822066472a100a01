/** The module `uri`. */
import type { LuaState } from 'fengari';
import { lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { pushPlain } from '../../lua/engine/plain.ts';
import { pushArray } from '../../lua/engine/values.ts';
import { withoutReferences } from '../../mime/html-references.ts';
import { checkText } from '../arguments.ts';
import type { FunctionsOf } from '../module.ts';
import type { uriApi } from './api.ts';

const MAX_TEXT = 1024 * 1024;
const MAX_URI = 8192;
const MAX_FOUND = 1000;
/** Bytes in which the scheme of an attribute is looked for, however its letters are written. */
const BEGINNINGS = [32, 128, 512];
const STEPS_PER_PARSE = 1000;

/**
 * What begins like a URI, up to a sign that none has; or the value of an attribute that leads somewhere, without what a
 * browser leaves out in front. Text is latin1.
 */
const BEGINNING =
  /(?:https?|ftp):\/\/|www\d{0,3}\.|(?<=[\s"'/])(?:xlink:)?(?:href|src|action|formaction|background|poster|data|cite)\s{0,20}=\s{0,20}(?=["'&a-z])/gi;
const END = /[\s<>"'`\\^{|}\0-\x20\x7f]/g;
const BARE_END = /[\s>]/g;
/** Signs behind a URI that belong to the sentence around it. */
const TRAILING = /[.,;:!?)\]*_]+$/;
/** In an attribute slashes may be backslashes, or be missing: browsers go there all the same. */
const OF_WEB = /^(https?|ftp):[/\\]*(?=[^/\\])/i;

function found(L: LuaState): number {
  const text = checkText(L, 1, MAX_TEXT).slice(0, MAX_TEXT);
  hostOf(L).charge(L, text.length);
  pushArray(L, [...addressesIn(text)]);
  return 1;
}

function addressesIn(text: string): Set<string> {
  const addresses = new Set<string>();
  BEGINNING.lastIndex = 0;
  for (
    let match = BEGINNING.exec(text);
    match !== null && addresses.size < MAX_FOUND;
    match = BEGINNING.exec(text)
  ) {
    const behind = BEGINNING.lastIndex;
    if (match[0].includes('=')) {
      if (!leadsToWeb(text, behind)) continue;
      const { value, end } = valueAt(text, behind);
      const address = ofAttribute(value);
      if (address !== undefined) addresses.add(address);
      BEGINNING.lastIndex = end;
      continue;
    }
    const before = text[match.index - 1] ?? ' ';
    const isName = /^w/i.test(match[0]);
    // In the middle of a word, `www.` begins nothing.
    if (isName && /[A-Za-z0-9_@./-]/.test(before)) continue;
    END.lastIndex = behind;
    const end = Math.min(END.exec(text)?.index ?? text.length, match.index + MAX_URI);
    const written = withoutReferences(text.slice(match.index, end), true).replace(TRAILING, '');
    BEGINNING.lastIndex = Math.max(behind, end);
    if (written.length <= match[0].length) continue;
    addresses.add(isName ? `http://${written}` : written);
  }
  return addresses;
}

/** The value of an attribute, and where it ends. */
function valueAt(text: string, at: number): { value: string; end: number } {
  const quote = text[at] ?? '';
  if (quote === '"' || quote === "'") {
    const close = text.indexOf(quote, at + 1);
    const end = close < 0 || close > at + MAX_URI ? Math.min(text.length, at + MAX_URI) : close;
    return { value: text.slice(at + 1, end), end };
  }
  BARE_END.lastIndex = at;
  const end = Math.min(BARE_END.exec(text)?.index ?? text.length, at + MAX_URI);
  return { value: text.slice(at, end), end };
}

/** Whether the value begins as an address of the web does. Most lead elsewhere, and a value may be long. */
function leadsToWeb(text: string, at: number): boolean {
  for (const size of BEGINNINGS) {
    // Not in the middle of a reference.
    const begin = text.slice(at, at + size).replace(/^["']/, '');
    const written = asBrowserReads(begin.replace(/&[#\w]{0,30}$/, '')).toLowerCase();
    if (/^(?:https?|ftp):/.test(written)) return true;
    if (!['https:', 'ftp:'].some((scheme) => scheme.startsWith(written))) return false;
  }
  return false;
}

/** Browsers leave out line ends and tabs wherever they stand, and what is no sign at both ends. */
const asBrowserReads = (value: string) =>
  withoutReferences(value, true)
    .replace(/[\t\r\n]+/g, '')
    .replace(/^[\0- ]+|[\0- ]+$/g, '');

/** Where the value leads, in the usual form; undefined where that is not in the web. */
function ofAttribute(value: string): string | undefined {
  const written = asBrowserReads(value);
  return OF_WEB.test(written) ? written.replace(OF_WEB, '$1://') : undefined;
}

function parse(L: LuaState): number {
  const text = checkText(L, 1, MAX_URI);
  hostOf(L).charge(L, STEPS_PER_PARSE);
  const utf8 = Buffer.from(text, 'latin1').toString('utf8');
  const url = text.length <= MAX_URI && URL.canParse(utf8) ? new URL(utf8) : undefined;
  if (url === undefined || url.hostname === '') {
    lua.lua_pushnil(L);
    return 1;
  }
  const user = [url.username, url.password].filter((part) => part !== '').join(':');
  pushPlain(L, {
    scheme: url.protocol.slice(0, -1),
    user: user || undefined,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase(),
    port: url.port === '' ? undefined : Number(url.port),
    path: url.pathname,
    query: url.search.slice(1) || undefined,
    fragment: url.hash.slice(1) || undefined,
  });
  return 1;
}

export const openUri = (): FunctionsOf<typeof uriApi> => ({ found, parse });
