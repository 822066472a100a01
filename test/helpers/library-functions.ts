/** Every function that a script can reach from its globals. */
import assert from 'node:assert/strict';
import { LuaContext } from '../../src/lua/context/context.ts';
import type { Template } from '../../src/lua/context/template.ts';
import { compile } from '../../src/lua/script/compilation.ts';

const WALK = `
  local seen = {}
  local function walk(path, t)
    if seen[t] then return end
    seen[t] = true
    for k, v in pairs(t) do
      if type(k) == "string" then
        local name = path .. "[" .. string.format("%q", k) .. "]"
        if type(v) == "function" then print(name) elseif type(v) == "table" then walk(name, v) end
      end
    end
  end
  walk("_G", _G)
  walk('getmetatable(io.stdout)', getmetatable(io.stdout))`;

/** @returns Lua expressions, each once, whose values are the functions */
export async function libraryFunctions(template: Template): Promise<string[]> {
  const found: string[] = [];
  const context = new LuaContext({
    template,
    script: compile(Buffer.from(WALK), 'walk'),
    print: (line) => found.push(Buffer.from(line).toString('latin1')),
  });
  assert.equal((await context.run()).kind, 'done');
  context.dispose();
  return found;
}
