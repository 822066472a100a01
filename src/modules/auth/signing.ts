/**
 * Signatures and seals that a script asks for: made when it has returned, over the message as the MTA will send it.
 * api.ts describes the functions.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LuaFunction, LuaState } from 'fengari';
import type { Answer } from '../../asking/answer.ts';
import { ascii, lauxlib, lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { pushLatin1 } from '../../lua/engine/values.ts';
import { type ArcResult, seal } from '../../mail-auth/arc.ts';
import { writeResults } from '../../mail-auth/authentication-results.ts';
import type { Canonicalization } from '../../mail-auth/body-hash.ts';
import {
  dkimSignature,
  SIGNED_FIELDS,
  type Signer,
  type SigningOptions,
  signingDomain,
  signingSelector,
} from '../../mail-auth/dkim-sign.ts';
import { hashOfBody } from '../../mail-auth/edited-body.ts';
import { isPem } from '../../mail-auth/signing-keys.ts';
import { edit, editsOf } from '../../message/edit-link.ts';
import type { EditedMessage, LastHeaders } from '../../message/edits.ts';
import { MAX_HEADER_BYTES, nameComplaint } from '../../message/header-syntax.ts';
import { SMFIF } from '../../milter/constants.ts';
import type { Services } from '../../services/services.ts';
import { OptionTable } from '../arguments.ts';
import { factsOf } from '../session.ts';
import { type Arriving, messageOf } from './arriving.ts';
import { SIMPLE_BODY_FORMS, simpleBodyOf } from './simple-body.ts';

const MAX_NAME = 253;
const MAX_KEY = 16 * 1024;
const MAX_FIELDS = 200;
/** Of one message, seals included. */
export const MOST_SIGNATURES = 10;
/** RFC 8617 section 5: more sets than any chain has. */
const MOST_SETS = 50;
const MAX_EXPIRE = 10 * 365 * 86_400;
const FORMS = ['relaxed/relaxed', 'simple/relaxed', ...SIMPLE_BODY_FORMS] as const;
const NOT_WHOLE =
  'the message is not here: call it from smtp.do_dot, and name it in the script or in a file that its main chunk requires';

const NOT_SHOWN = `the body was not hashed as it came: write c = "${SIMPLE_BODY_FORMS.join('" or "')}" out in the script`;

/** Fields that servers change, or take out, on the way. */
const CHANGED_ON_THE_WAY: ReadonlySet<string> = new Set([
  ...['return-path', 'received', 'bcc', 'resent-bcc', 'content-length', 'dkim-signature'],
  ...['arc-seal', 'arc-message-signature', 'arc-authentication-results'],
]);

type Parts = Pick<Services, 'keys' | 'clock'>;

/** Of the body as it came. */
type Hashes = Readonly<Record<Canonicalization, () => string | undefined>>;

/** What is made: none without a word for the operator. */
type Made = Awaited<ReturnType<LastHeaders>>;

export function openSigning(services: Parts): Readonly<Record<'sign' | 'seal', LuaFunction>> {
  return {
    sign: (L) => {
      const options = new OptionTable(L, 1, ['domain', 'selector', 'key', 'headers', 'c', 'expire']);
      const c = options.text('c', 100) ?? FORMS[0];
      if (!isForm(c))
        return options.complain('c', `${FORMS.slice(0, -1).join(', ')} or ${FORMS.at(-1)} expected`);
      const expires = options.number('expire');
      if (expires !== undefined && !(Number.isInteger(expires) && expires > 0 && expires <= MAX_EXPIRE))
        return options.complain('expire', `whole seconds expected, from 1 to ${MAX_EXPIRE}`);
      const names = fieldNames(options);
      const signer = signerOf(options, services);
      const form: SigningOptions = {
        header: c.startsWith('simple/') ? 'simple' : 'relaxed',
        body: c.endsWith('/simple') ? 'simple' : 'relaxed',
        names,
        expires,
      };
      const simple = form.body === 'simple' ? simpleBodyOf(hostOf(L)) : undefined;
      if (form.body === 'simple' && simple === undefined) return lauxlib.luaL_error(L, ascii(NOT_SHOWN));
      const now = () => services.clock.now();
      return queued(L, 'signature', signer, (by, arriving) => (message) => {
        const hashes = { relaxed: () => arriving.message.bodyHash('relaxed'), simple: () => simple?.digest };
        return sign(message, hashes, by, form, now);
      });
    },

    seal: (L) => {
      const options = new OptionTable(L, 1, ['domain', 'selector', 'key', 'headers', 'authserv']);
      const authserv = options.text('authserv', MAX_NAME) ?? factsOf(L).mta;
      if (!/^[\x21-\x7e]+$/.test(authserv)) return options.complain('authserv', 'a host name is expected');
      const names = fieldNames(options);
      const signer = signerOf(options, services);
      const found = messageOf(hostOf(L))?.found;
      if (found === undefined) return lauxlib.luaL_error(L, ascii('auth.check has not said yet what came'));
      const { arc, results } = found;
      if (arc.kind === 'unknown') return pushReason(L, arc.reason);
      if (arc.value.chain >= MOST_SETS) {
        lua.lua_pushboolean(L, false);
        return 1;
      }
      const value = writeResults({ authserv, results });
      const now = () => services.clock.now();
      return queued(
        L,
        'seal',
        signer,
        (by, arriving) => (message) => sealed(message, arriving, by, arc.value, value, names, now),
      );
    },
  };
}

/** Has headers made last, if the key can be had and the MTA lets this filter add them. */
function queued(
  L: LuaState,
  kind: 'signature' | 'seal',
  signer: Answer<Signer>,
  makerOf: (signer: Signer, arriving: Arriving) => LastHeaders,
): number {
  const edits = editsOf(L);
  const arriving = messageOf(hostOf(L));
  if (!arriving?.isWhole) return lauxlib.luaL_error(L, ascii(NOT_WHOLE));
  if (signer.kind === 'unknown') return pushReason(L, signer.reason);
  if (edits.awaited >= MOST_SIGNATURES) return pushReason(L, `limit more than ${MOST_SIGNATURES} signatures`);
  return edit(L, SMFIF.ADDHDRS, () => edits.makeLast(kind, makerOf(signer.value, arriving)));
}

function pushReason(L: LuaState, reason: string): number {
  lua.lua_pushnil(L);
  pushLatin1(L, reason);
  return 2;
}

/** The options domain, selector and key, which must be there. */
function signerOf(options: OptionTable, { keys }: Parts): Answer<Signer> {
  const text = (name: string, most: number) =>
    options.text(name, most) ?? options.complain(name, 'must be given');
  const written = Buffer.from(text('domain', MAX_NAME * 4), 'latin1').toString();
  const domain =
    signingDomain(written) ?? options.complain('domain', 'a domain such as example.com expected');
  const selector =
    signingSelector(text('selector', MAX_NAME)) ??
    options.complain('selector', 'labels of letters, digits, - and _ expected');
  const named = text('key', MAX_KEY);
  // Whatever else it is may be a key: it is not shown.
  if (named.length > MAX_KEY || !(named.startsWith('/') || isPem(named)) || named.includes('\0'))
    return options.complain('key', 'an absolute path, or a key in PEM form, expected');
  const key = keys.key(named);
  return key.kind === 'unknown' ? key : { kind: 'known', value: { domain, selector, key: key.value } };
}

function fieldNames(options: OptionTable): readonly string[] {
  const given = options.texts('headers', MAX_FIELDS, MAX_NAME);
  if (given === undefined) return SIGNED_FIELDS;
  for (const name of given) {
    if (nameComplaint(name) !== undefined || name.includes(';'))
      return options.complain('headers', 'names of header fields expected');
    if (CHANGED_ON_THE_WAY.has(name.toLowerCase()))
      return options.complain('headers', `${name} is changed on the way: no signature may cover it`);
  }
  return given;
}

function isForm(text: string): text is (typeof FORMS)[number] {
  return FORMS.some((form) => form === text);
}

async function sign(
  message: EditedMessage,
  hashes: Hashes,
  signer: Signer,
  options: SigningOptions,
  now: () => number,
): Promise<Made> {
  const ready = await readyToSign(message, options.names, options.body, hashes[options.body]);
  if (typeof ready === 'string') return { none: `not signed for d=${signer.domain}: ${ready}` };
  const { bodyHash, names } = ready;
  const value = dkimSignature(message.fields, bodyHash, signer, { ...options, names }, now());
  return value.length > MAX_HEADER_BYTES
    ? { none: `not signed for d=${signer.domain}: it covers too many fields` }
    : { fields: [{ name: 'DKIM-Signature', value }] };
}

async function sealed(
  message: EditedMessage,
  arriving: Arriving,
  signer: Signer,
  { result }: ArcResult,
  results: string,
  wanted: readonly string[],
  now: () => number,
): Promise<Made> {
  const ready = await readyToSign(message, wanted, 'relaxed', () => arriving.message.bodyHash('relaxed'));
  const none = (why: string) => ({ none: `not sealed for d=${signer.domain}: ${why}` });
  if (typeof ready === 'string') return none(ready);
  const { bodyHash, names } = ready;
  const set = seal(message.fields, bodyHash, signer, result, results, [...names, 'DKIM-Signature'], now());
  if ('none' in set) return none(set.none);
  return set.fields.some(({ value }) => value.length > MAX_HEADER_BYTES)
    ? none('it covers too many fields')
    : { fields: set.fields };
}

/**
 * What can be signed of a message, or why it cannot. Others get a turn before the signature is computed.
 * @param arrived the hash of the body as it came, in this form
 */
async function readyToSign(
  { fields, later, body }: EditedMessage,
  wanted: readonly string[],
  form: Canonicalization,
  arrived: () => string | undefined,
): Promise<{ readonly bodyHash: string; readonly names: readonly string[] } | string> {
  const there = new Set(fields.map(({ name }) => name.toLowerCase()));
  if (!there.has('from')) return 'it has no From';
  if (later.has('from')) return 'the MTA puts in a From of its own';
  const bodyHash = body === undefined ? arrived() : await hashOfBody(body, form);
  if (bodyHash === undefined) return 'a line of its body is too long';
  await nextTurn();
  // A signature cannot say which of several the MTA will put in, nor that it puts in none.
  return { bodyHash, names: wanted.filter((name) => !later.has(name.toLowerCase())) };
}
