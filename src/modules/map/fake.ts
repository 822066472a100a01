/** The maps of a test: those that it names, and files; no server is asked. */
import type { LuaState } from 'fengari';
import { type Answer, known, type Patience } from '../../asking/answer.ts';
import { lua } from '../../lua/engine/engine.ts';
import { keysOf, type Plain } from '../../lua/engine/plain.ts';
import { pushLatin1 } from '../../lua/engine/values.ts';
import type { Found } from '../../maps/map-server.ts';
import type { MapSource } from '../../maps/maps.ts';
import { isLocal, OfflineMaps } from '../../maps/offline-maps.ts';
import { lowered } from '../../maps/text-table.ts';
import { checkText } from '../arguments.ts';
import { fake, notSaid, type StandIn } from '../fake.ts';
import { checkFakeAnswer, type FakeAnswer } from '../fake-answer.ts';

const SILENT = { notice: () => {}, warning: () => {} };

/** Answers by lower-case key, or one for all. */
type Given = ReadonlyMap<string, FakeAnswer> | FakeAnswer;

class MapWorld implements MapSource, StandIn {
  readonly #given: Map<string, Given>;
  readonly #others = new OfflineMaps(SILENT, 'no network in a test: see test.map');

  constructor(given: Map<string, Given> = new Map()) {
    this.#given = given;
  }

  copy(): MapWorld {
    return new MapWorld(new Map(this.#given));
  }

  give(spec: string, given: Given): void {
    this.#given.set(spec, given);
  }

  async open(spec: string, place?: Buffer): Promise<Answer<string>> {
    return this.#given.has(spec) ? known('open') : this.#others.open(spec, place);
  }

  readonly states = [];

  isOpen(spec: string): boolean {
    return this.#given.has(spec) || this.#others.isOpen(spec);
  }

  recall(spec: string, key: string): Found | undefined {
    const given = this.#given.get(spec);
    if (typeof given === 'function') return foundOf(given([key]));
    if (given !== undefined) return foundOf(given.get(lowered(key))?.([key]) ?? known(undefined));
    const found = this.#others.recall(spec, key);
    return found && !isLocal(spec) ? notSaid(found) : found;
  }

  async query(spec: string, key: string, patience: Patience): Promise<Found> {
    return this.recall(spec, key) ?? this.#others.query(spec, key, patience);
  }
}

function foundOf(answer: Answer<Plain>): Found {
  if (answer.kind === 'unknown') return answer;
  return known(answer.value === undefined || answer.value === false ? null : String(answer.value));
}

export const mapFake = fake({
  service: 'maps',
  make: () => new MapWorld(),
  api: [
    {
      kind: 'function',
      name: 'test.map',
      params: [
        {
          name: 'spec',
          type: 'string',
          sample: '"ldap:/etc/mail/users.cf"',
          doc: 'the map as the policy opens it',
        },
        {
          name: 'entries',
          type: 'any',
          doc: 'values by key; or `test.fails "timeout"`; or a function of the key',
        },
      ],
      results: [],
      doc: 'What is in a map. Maps in files are read as they are where no test names them; servers are not asked.',
      example: 'test.map("ldap:/etc/mail/users.cf", { ["joe@example.com"] = "yes" })',
    },
  ],
  functions: {
    map: (L: LuaState, world) => {
      world.give(checkText(L, 1, 65_536), givenAt(L, 2));
      return 0;
    },
  },
});

/** A table may be empty: a map that has nothing. */
function givenAt(L: LuaState, arg: number): Given {
  if (lua.lua_type(L, arg) !== lua.LUA_TTABLE) return checkFakeAnswer(L, arg);
  return new Map(
    keysOf(L, arg).map((key) => {
      pushLatin1(L, key);
      lua.lua_rawget(L, arg);
      const answer = checkFakeAnswer(L, lua.lua_gettop(L));
      lua.lua_pop(L, 1);
      return [lowered(key), answer];
    }),
  );
}
