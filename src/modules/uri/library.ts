/** The module `uri`. */
import type { LuaState } from 'fengari';
import { lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { pushPlain } from '../../lua/engine/plain.ts';
import { pushArray } from '../../lua/engine/values.ts';
import { checkText } from '../arguments.ts';
import type { FunctionsOf } from '../module.ts';
import type { uriApi } from './api.ts';

const MAX_TEXT = 1024 * 1024;
const MAX_URI = 8192;
const MAX_FOUND = 1000;
const STEPS_PER_PARSE = 1000;

/** What begins like a URI, up to a sign that none has. Text is latin1. */
const BEGINNING = /(?:https?|ftp):\/\/|www\d{0,3}\./gi;
const END = /[\s<>"'`\\^{|}\0-\x20\x7f]/g;
/** Signs behind a URI that belong to the sentence around it. */
const TRAILING = /[.,;:!?)\]*_]+$/;

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
    const before = text[match.index - 1] ?? ' ';
    const isName = /^w/i.test(match[0]);
    // In the middle of a word, `www.` begins nothing.
    if (isName && /[A-Za-z0-9_@./-]/.test(before)) continue;
    END.lastIndex = BEGINNING.lastIndex;
    const end = Math.min(END.exec(text)?.index ?? text.length, match.index + MAX_URI);
    const written = decoded(text.slice(match.index, end)).replace(TRAILING, '');
    BEGINNING.lastIndex = Math.max(BEGINNING.lastIndex, end);
    if (written.length <= match[0].length) continue;
    addresses.add(isName ? `http://${written}` : written);
  }
  return addresses;
}

const REFERENCES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  colon: ':',
  sol: '/',
  period: '.',
};

/** Character references of HTML. */
function decoded(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,8}));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return REFERENCES[String(name).toLowerCase()] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0x20 && code < 0x7f ? String.fromCharCode(code) : whole;
  });
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
