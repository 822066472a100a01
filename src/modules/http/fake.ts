/** The web of a test: what the test says of it. */
import type { LuaState } from 'fengari';
import { type Answer, known, unknown } from '../../asking/answer.ts';
import type { HttpResponse } from '../../http/exchange.ts';
import type { Web, WebRequest } from '../../http/web.ts';
import { bytesOf, lauxlib, lua } from '../../lua/engine/engine.ts';
import { keysOf, type Plain } from '../../lua/engine/plain.ts';
import { fake, notSaid, type StandIn } from '../fake.ts';
import { checkFakeAnswer, type FakeAnswer } from '../fake-answer.ts';

class WebWorld implements Web, StandIn {
  readonly #answers: Map<string, FakeAnswer>;

  constructor(answers: Map<string, FakeAnswer> = new Map()) {
    this.#answers = answers;
  }

  copy(): WebWorld {
    return new WebWorld(new Map(this.#answers));
  }

  set(url: string, answer: FakeAnswer): void {
    this.#answers.set(url, answer);
  }

  async fetch({ url, method, body }: WebRequest): Promise<Answer<HttpResponse>> {
    const written = Buffer.from(url).toString('latin1');
    const answer = this.#answers.get(written) ?? this.#answers.get('*');
    if (answer === undefined)
      return notSaid(unknown('unavailable', `${url} no network in a test: see test.http`));
    const text = Buffer.isBuffer(body) ? body.toString('latin1') : undefined;
    const given = answer([written, method, text]);
    return given.kind === 'unknown' ? given : known(responseOf(given.value));
  }
}

/** A text is the body of a response with code 200. */
function responseOf(value: Plain): HttpResponse {
  const fields: { readonly [key: string]: Plain } =
    typeof value === 'object' && !Array.isArray(value)
      ? (value as { readonly [key: string]: Plain })
      : { body: value };
  const { code = 200, body = '', headers = {} } = fields;
  return {
    code: Number(code),
    body: Buffer.from(String(body), 'latin1'),
    headers: new Map(
      Object.entries(typeof headers === 'object' ? headers : {}).map(([name, text]) => [
        name.toLowerCase(),
        String(text),
      ]),
    ),
  };
}

export const httpFake = fake({
  service: 'web',
  make: () => new WebWorld(),
  api: [
    {
      kind: 'function',
      name: 'test.http',
      params: [
        {
          name: 'answers',
          type: 'table',
          sample: '{}',
          doc: 'by URL, or `"*"` for any other: a body, a response `{ code =, body =, headers = }`, `test.fails "timeout"`, or a function of URL, method and body that returns one of these',
        },
      ],
      results: [],
      doc: 'What web servers answer; nothing else can be reached.',
      example: 'test.http { ["https://api.example.com/v1/192.0.2.7"] = { code = 200, body = "{}" } }',
    },
  ],
  functions: {
    http: (L: LuaState, web) => {
      lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
      for (const url of keysOf(L, 1)) {
        lua.lua_getfield(L, 1, bytesOf(url));
        web.set(url, checkFakeAnswer(L, lua.lua_gettop(L)));
        lua.lua_pop(L, 1);
      }
      return 0;
    },
  },
});
