/** The scanners of a test: what the test says of them. */
import { readFileSync } from 'node:fs';
import type { LuaState } from 'fengari';
import { type Answer, known, unknown } from '../../asking/answer.ts';
import type { Plain } from '../../lua/engine/plain.ts';
import type { RspamdResult, RspamdSymbol } from '../../scanners/rspamd.ts';
import type { RspamdRequest, Scanners, ScanRequest } from '../../scanners/scanners.ts';
import type { SpamdResult } from '../../scanners/spamd.ts';
import { fake, notSaid, type StandIn } from '../fake.ts';
import { checkFakeAnswer, type FakeAnswer } from '../fake-answer.ts';

type Name = 'clamd' | 'spamd' | 'rspamd';
type Fields = { readonly [key: string]: Plain };

class ScannerWorld implements Scanners, StandIn {
  readonly #answers: Map<Name, FakeAnswer>;

  constructor(answers: Map<Name, FakeAnswer> = new Map()) {
    this.#answers = answers;
  }

  copy(): ScannerWorld {
    return new ScannerWorld(new Map(this.#answers));
  }

  set(name: Name, answer: FakeAnswer): void {
    this.#answers.set(name, answer);
  }

  async clamd(request: ScanRequest): Promise<Answer<string | false>> {
    const found = this.#ask('clamd', request, []);
    if (found.kind === 'unknown') return found;
    const { value } = found;
    return known(value === false || value === undefined ? false : String(value));
  }

  async spamd(request: ScanRequest): Promise<Answer<SpamdResult>> {
    const found = this.#ask('spamd', request, []);
    return found.kind === 'unknown' ? found : known(spamdResultOf(fieldsOf(found.value)));
  }

  async rspamd(request: RspamdRequest): Promise<Answer<RspamdResult>> {
    const { ip, helo, hostname, from, rcpt, user } = request.envelope;
    const found = this.#ask('rspamd', request, [{ ip, helo, hostname, from, rcpt, user }]);
    return found.kind === 'unknown' ? found : known(rspamdResultOf(fieldsOf(found.value)));
  }

  /** A function of the test is given the message, and what else the scanner is told. */
  #ask(name: Name, { path, size, most }: ScanRequest, more: readonly Plain[]): Answer<Plain> {
    const answer = this.#answers.get(name);
    if (answer === undefined)
      return notSaid(unknown('unavailable', `no network in a test: see test.${name}`));
    if (size > most) return unknown('limit', `message of ${size} bytes, at most ${most} are sent`);
    return answer([readFileSync(path, 'latin1'), ...more]);
  }
}

/** Spam is what has the points for it, unless the test says otherwise. */
function spamdResultOf({ score = 0, required = 5, spam, symbols }: Fields): SpamdResult {
  const [points, limit] = [Number(score), Number(required)];
  return {
    spam: typeof spam === 'boolean' ? spam : points >= limit,
    score: points,
    required: limit,
    symbols: Array.isArray(symbols) ? symbols.map(String) : [],
  };
}

/** Without an action it is that of the points in rspamd's own configuration. */
function rspamdResultOf(fields: Fields): RspamdResult {
  const { score = 0, required = 15, action, symbols, milter, subject, signatures, reply } = fields;
  const points = Number(score);
  const usual = points >= Number(required) ? 'reject' : points >= 6 ? 'add header' : 'no action';
  return {
    action: utf8Of(action) ?? usual,
    score: points,
    required: Number(required),
    symbols: new Map(Object.entries(fieldsOf(symbols)).map(([name, symbol]) => [name, symbolOf(symbol)])),
    milter: unicodeOf(milter),
    subject: utf8Of(subject),
    signatures: Array.isArray(signatures) ? signatures.map((value) => utf8Of(value) ?? '') : [],
    reply: utf8Of(reply),
  };
}

/** A number is its points. */
function symbolOf(symbol: Plain): RspamdSymbol {
  if (typeof symbol === 'number') return { score: symbol, options: [] };
  const { score = 0, options } = fieldsOf(symbol);
  return {
    score: Number(score),
    options: Array.isArray(options) ? options.map((text) => utf8Of(text) ?? '') : [],
  };
}

function fieldsOf(value: Plain): Fields {
  return typeof value === 'object' && !Array.isArray(value) ? (value as Fields) : {};
}

/** A text of Lua as rspamd would send it. */
function utf8Of(value: Plain): string | undefined {
  return value === undefined ? undefined : Buffer.from(String(value), 'latin1').toString('utf8');
}

function unicodeOf(value: Plain): unknown {
  if (typeof value === 'string') return utf8Of(value);
  if (Array.isArray(value)) return value.map(unicodeOf);
  if (typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [utf8Of(key), unicodeOf(item)]));
}

const answer = (doc: string) => [{ name: 'answer', type: 'any', sample: 'false', doc }] as const;

export const scanFake = fake({
  service: 'scanners',
  make: () => new ScannerWorld(),
  api: [
    {
      kind: 'function',
      name: 'test.clamd',
      params: answer(
        '`false`, the name of what is found, `test.fails "timeout"`, or a function of the message',
      ),
      results: [],
      doc: 'What clamd answers.',
      example: 'test.clamd(function(message) return message:find("EICAR") and "Eicar-Test" or false end)',
    },
    {
      kind: 'function',
      name: 'test.spamd',
      params: answer(
        '`{ score =, required = 5, symbols = {} }`, `test.fails "timeout"`, or a function of the message',
      ),
      results: [],
      doc: 'What spamd answers.',
      example: 'test.spamd { score = 7.5, symbols = { "URIBL_BLACK" } }',
    },
    {
      kind: 'function',
      name: 'test.rspamd',
      params: answer(
        '`{ action =, score =, required = 15, symbols = { NAME = 2.5 }, milter =, subject =, reply = }`, `test.fails "timeout"`, or a function of the message and `{ ip =, helo =, hostname =, from =, rcpt =, user = }`',
      ),
      results: [],
      doc: 'What rspamd answers; without `action` that which its own configuration has for the score.',
      example: 'test.rspamd { score = 7, milter = { add_headers = { ["X-Rspamd-Score"] = "7" } } }',
    },
  ],
  functions: {
    clamd: answering('clamd'),
    spamd: answering('spamd'),
    rspamd: answering('rspamd'),
  },
});

function answering(name: Name): (L: LuaState, world: ScannerWorld) => number {
  return (L, world) => {
    world.set(name, checkFakeAnswer(L, 1));
    return 0;
  };
}
