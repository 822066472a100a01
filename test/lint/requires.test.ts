/** The modules that a script asks for by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requiredNames } from '../../src/lint/requires.ts';

test('names that stand in a call of require are found, wherever it is', () => {
  const text = `
    local a = require "a"
    local b = require("b.c")
    -- require "comment"
    local s = 'require "string"'
    function smtp.do_mail() if x then return require [[d]].f(require 'a') end end
    local name = "e"
    require(name)
    other.require "f"
  `;
  assert.deepEqual(requiredNames(text), ['a', 'b.c', 'd']);
});

test('a text that is no Lua has none', () => {
  assert.deepEqual(requiredNames('require "a" ('), []);
});
