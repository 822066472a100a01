import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { ascii, lauxlib, lua } from '../../src/lua/engine/engine.ts';
import {
  pushArray,
  pushBytes,
  pushLatin1,
  pushNumber,
  pushOptional,
  pushOwnedBytes,
  readArray,
  readBytes,
  readLatin1,
  readNumber,
} from '../../src/lua/engine/values.ts';

const L = lauxlib.luaL_newstate();

/** Runs `check` with a clean stack. */
function fresh<T>(check: () => T): T {
  lua.lua_settop(L, 0);
  return check();
}

const latin1 = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 300 })
  .map((bytes) => String.fromCharCode(...bytes));

it('text goes to Lua and back byte by byte', () => {
  fc.assert(
    fc.property(latin1, (text) => {
      fresh(() => {
        pushLatin1(L, text);
        assert.equal(lua.lua_rawlen(L, 1), text.length);
        assert.equal(readLatin1(L, 1), text);
        assert.deepEqual(readBytes(L, 1), Buffer.from(text, 'latin1'));
      });
    }),
  );
});

it('an array of texts goes to Lua and back', () => {
  fc.assert(
    fc.property(fc.array(latin1, { maxLength: 60 }), (texts) => {
      fresh(() => {
        pushArray(L, texts);
        assert.equal(lauxlib.luaL_len(L, 1), texts.length);
        assert.deepEqual(readArray(L, 1), texts);
        assert.equal(lua.lua_gettop(L), 1);
      });
    }),
  );
});

it('bytes are copied by pushBytes, and taken by pushOwnedBytes', () => {
  fresh(() => {
    const bytes = Buffer.from('abc');
    pushBytes(L, bytes);
    pushOwnedBytes(L, bytes);
    bytes[0] = 0x7a;
    assert.equal(readLatin1(L, 1), 'abc');
    assert.equal(readLatin1(L, 2), 'zbc');
    const read = readBytes(L, 1);
    assert.ok(read);
    read[0] = 0x7a;
    assert.equal(readLatin1(L, 1), 'abc');
  });
});

it('a string made of a Buffer is a string like any other', () => {
  fresh(() => {
    pushOwnedBytes(L, Buffer.from('key'));
    lua.lua_createtable(L);
    lua.lua_pushvalue(L, 1);
    lua.lua_pushboolean(L, true);
    lua.lua_rawset(L, 2);
    lua.lua_getfield(L, 2, ascii('key'));
    assert.equal(lua.lua_toboolean(L, -1), true);
  });
});

it('numbers are integers within 32 bits, and floats beyond', () => {
  const cases: [number, boolean][] = [
    [0, true],
    [-1, true],
    [2 ** 31 - 1, true],
    [-(2 ** 31), true],
    [2 ** 31, false],
    [2 ** 53, false],
    [1.5, false],
    [-0, false],
    [Number.POSITIVE_INFINITY, false],
  ];
  for (const [value, integer] of cases) {
    fresh(() => {
      pushNumber(L, value);
      assert.equal(lua.lua_isinteger(L, 1), integer, String(value));
      assert.ok(Object.is(readNumber(L, 1), value), String(value));
    });
  }
});

it('an absent text is nil', () => {
  fresh(() => {
    pushOptional(L, undefined);
    pushOptional(L, '');
    assert.equal(lua.lua_isnil(L, 1), true);
    assert.equal(readLatin1(L, 2), '');
  });
});

it('what is no text or number is read as undefined', () => {
  fresh(() => {
    lua.lua_pushnil(L);
    lua.lua_pushboolean(L, true);
    lua.lua_createtable(L);
    for (const index of [1, 2, 3, 4]) {
      assert.equal(readLatin1(L, index), undefined);
      assert.equal(readNumber(L, index), undefined);
      assert.equal(readBytes(L, index), undefined);
    }
    assert.equal(readArray(L, 1), undefined);
    assert.deepEqual(readArray(L, 3), []);
    lua.lua_pushboolean(L, true);
    lua.lua_rawseti(L, 3, 1);
    assert.equal(readArray(L, 3), undefined);
  });
});

it('numerals are numbers, and numbers are texts', () => {
  fresh(() => {
    pushLatin1(L, ' 0x10 ');
    pushNumber(L, 12);
    assert.equal(readNumber(L, 1), 16);
    assert.equal(readLatin1(L, 2), '12');
  });
});

it('more values than the stack has room for find room', () => {
  fresh(() => {
    for (let i = 0; i < 500; i++) {
      pushLatin1(L, 'x');
      pushNumber(L, 1.5);
      pushNumber(L, 1);
      pushOptional(L, undefined);
    }
    pushArray(L, ['a']);
    assert.equal(lua.lua_gettop(L), 2001);
  });
});
