/** Where addresses are in a test: what the test says. */
import type { LuaState } from 'fengari';
import { type Answer, known, unknown } from '../../asking/answer.ts';
import { parseAddress, sameAddress } from '../../dns/name.ts';
import type { Geo, Place, Question } from '../../geo/geo.ts';
import { bytesOf, lauxlib, lua } from '../../lua/engine/engine.ts';
import { keysOf, type Plain } from '../../lua/engine/plain.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { fake, type StandIn } from '../fake.ts';
import { checkFakeAnswer, type FakeAnswer } from '../fake-answer.ts';

class GeoWorld implements Geo, StandIn {
  /** By address as the test writes it, or `*`; undefined before the test has said anything. */
  #answers: ReadonlyMap<string, FakeAnswer> | undefined;

  constructor(answers?: ReadonlyMap<string, FakeAnswer>) {
    this.#answers = answers;
  }

  copy(): GeoWorld {
    return new GeoWorld(this.#answers);
  }

  add(answers: ReadonlyMap<string, FakeAnswer>): void {
    this.#answers = new Map([...(this.#answers ?? []), ...answers]);
  }

  recall(question: Question, address: string): Answer<Place | null> {
    if (this.#answers === undefined) return unknown('unavailable', 'no file in a test: see test.geo');
    const answer = this.#answerFor(address);
    if (answer === undefined) return known(null);
    const given = answer([address]);
    return given.kind === 'unknown' ? given : known(placeOf(given.value, question));
  }

  async query(question: Question, address: string): Promise<Answer<Place | null>> {
    return this.recall(question, address);
  }

  #answerFor(address: string): FakeAnswer | undefined {
    const asked = parseAddress(address);
    for (const [written, answer] of this.#answers ?? []) {
      const named = parseAddress(written);
      if (named !== undefined && asked !== undefined && sameAddress(named, asked)) return answer;
    }
    return this.#answers?.get('*');
  }
}

/** A text is the country. */
function placeOf(value: Plain, question: Question): Place | null {
  const fields =
    typeof value === 'object' && !Array.isArray(value) ? (value as { [key: string]: Plain }) : {};
  const { country = typeof value === 'string' ? value : undefined, asn, name } = fields;
  if (question === 'country') return typeof country === 'string' ? country : null;
  return typeof asn === 'number' ? { number: asn, name: typeof name === 'string' ? name : '' } : null;
}

export const geoFake = fake({
  service: 'geo',
  make: () => new GeoWorld(),
  api: [
    {
      kind: 'function',
      name: 'test.geo',
      params: [
        {
          name: 'places',
          type: 'table',
          sample: '{}',
          doc: 'by address, or `"*"` for any other: the country, `{ country =, asn =, name = }`, `false` for an address that no file knows, `test.fails "unavailable"`, or a function of the address that returns one of these',
        },
      ],
      results: [],
      doc: 'Where addresses are; no file knows any other.',
      example:
        'test.geo { ["192.0.2.1"] = "DE", ["2001:db8::1"] = { country = "NL", asn = 64496, name = "Example" } }',
    },
  ],
  functions: {
    geo: (L: LuaState, world) => {
      lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
      const answers = new Map<string, FakeAnswer>();
      for (const written of keysOf(L, 1)) {
        if (written !== '*' && parseAddress(written) === undefined)
          return argumentError(L, 1, 'addresses or "*" expected as keys');
        lua.lua_getfield(L, 1, bytesOf(written));
        answers.set(written, checkFakeAnswer(L, lua.lua_gettop(L)));
        lua.lua_pop(L, 1);
      }
      world.add(answers);
      return 0;
    },
  },
});
