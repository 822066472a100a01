/** The mail servers of a test: what the test says of their recipients. */
import type { LuaState } from 'fengari';
import { type Answer, known, unknown } from '../../asking/answer.ts';
import { bytesOf, lauxlib, lua } from '../../lua/engine/engine.ts';
import { keysOf } from '../../lua/engine/plain.ts';
import type { CallAhead, CallAheadRequest, Taken } from '../../mail-client/call-ahead.ts';
import { fake, notSaid, type StandIn } from '../fake.ts';
import { checkFakeAnswer, type FakeAnswer } from '../fake-answer.ts';

class MailServerWorld implements CallAhead, StandIn {
  /** By address. */
  readonly #answers: Map<string, FakeAnswer>;

  constructor(answers: Map<string, FakeAnswer> = new Map()) {
    this.#answers = answers;
  }

  copy(): MailServerWorld {
    return new MailServerWorld(new Map(this.#answers));
  }

  set(address: string, answer: FakeAnswer): void {
    this.#answers.set(address, answer);
  }

  async callahead({ hosts, rcpt }: CallAheadRequest): Promise<Answer<Taken>> {
    const answer = this.#answers.get(rcpt) ?? this.#answers.get('*');
    if (answer === undefined)
      return notSaid(unknown('unavailable', 'no network in a test: see test.callahead'));
    const given = answer([hosts, rcpt]);
    if (given.kind === 'unknown') return given;
    const { value } = given;
    if (value === true) return known(true as const);
    return known({ reply: typeof value === 'string' ? value : '550 5.1.1 as the test says' });
  }
}

export const callAheadFake = fake({
  service: 'callAhead',
  make: () => new MailServerWorld(),
  api: [
    {
      kind: 'function',
      name: 'test.callahead',
      params: [
        {
          name: 'answers',
          type: 'table',
          sample: '{}',
          doc: 'by address, or `"*"` for any other: `true`, `false`, the reply of a refusal, `test.fails "timeout"`, or a function of the hosts and the address that returns one of these',
        },
      ],
      results: [],
      doc: 'What other mail servers say of recipients; nothing else is asked.',
      example: 'test.callahead { ["joe@example.com"] = true, ["*"] = false }',
    },
  ],
  functions: {
    callahead: (L: LuaState, world) => {
      lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
      for (const address of keysOf(L, 1)) {
        lua.lua_getfield(L, 1, bytesOf(address));
        world.set(address, checkFakeAnswer(L, lua.lua_gettop(L)));
        lua.lua_pop(L, 1);
      }
      return 0;
    },
  },
});
