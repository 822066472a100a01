/** The DNS of a test: what the test says, and nothing else. */
import type { LuaState } from 'fengari';
import { type Answer, isFailure } from '../../asking/answer.ts';
import type { Records, RecordType } from '../../dns/records.ts';
import { Zone, type ZoneAnswer, ZoneError } from '../../dns/zone.ts';
import { ascii, lauxlib, lua } from '../../lua/engine/engine.ts';
import { keysOf } from '../../lua/engine/plain.ts';
import { readArray, readLatin1 } from '../../lua/engine/values.ts';
import { argumentError, raise } from '../../lua/lib/arguments.ts';
import { fake, notSaid } from '../fake.ts';

/** A test that names records has all there are; one that names none has said nothing. */
class ZoneOfTest extends Zone {
  override copy(): ZoneOfTest {
    const copy = new ZoneOfTest();
    copy.take(this);
    return copy;
  }

  override async query<Type extends RecordType>(type: Type, name: string): Promise<Answer<Records[Type]>> {
    const answer = await super.query(type, name);
    return this.isEmpty ? notSaid(answer) : answer;
  }
}

export const dnsFake = fake({
  service: 'records',
  make: () => new ZoneOfTest(),
  api: [
    {
      kind: 'function',
      name: 'test.dns',
      params: [
        {
          name: 'records',
          type: 'table',
          doc: 'by `"name TYPE"` a text, a table of texts, or the word of a failure',
        },
      ],
      results: [],
      doc: 'What the DNS has; nothing else exists.',
      example: 'test.dns { ["example.com MX"] = "10 mx.example.com", ["slow.example A"] = "timeout" }',
    },
  ],
  functions: { dns },
});

function dns(L: LuaState, zone: Zone): number {
  for (const [question, answer] of checkZone(L)) {
    try {
      zone.set(question, answer);
    } catch (error) {
      if (!(error instanceof ZoneError)) throw error;
      return raise(L, `test.dns: ${error.message}`);
    }
  }
  return 0;
}

/** Argument 1: by question the records, or the word of a failure. */
function checkZone(L: LuaState): [string, ZoneAnswer][] {
  lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
  return keysOf(L, 1).map((question) => {
    lua.lua_getfield(L, 1, ascii(question));
    const text = readLatin1(L, -1);
    const records = text === undefined ? readArray(L, -1) : [text];
    lua.lua_pop(L, 1);
    if (records === undefined) return argumentError(L, 1, 'each answer must be a text or a table of texts');
    return [question, text !== undefined && isFailure(text) ? { failure: text } : { records }];
  });
}
