/** What a script really finds: the globals of a policy, written down by a policy. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startServer } from '../helpers/milter-server.ts';

const WALK = `
local out = assert(io.open("names.txt", "w"))
local function walk(t, prefix, seen)
  for k, v in pairs(t) do
    local kind = type(v)
    if kind == "number" then kind = math.type(v) .. " " .. tostring(v) end
    out:write(prefix, tostring(k), "\\t", kind, "\\n")
    if kind == "table" and not seen[v] and k ~= "loaded" and k ~= "searchers" then
      seen[v] = true
      walk(v, prefix .. tostring(k) .. ".", seen)
      seen[v] = nil
    end
  end
end
walk(_G, "", { [_G] = true })
out:close()
`;

/** Each name with its type; numbers with their value: `integer 550`. As the main chunk of a policy sees them. */
export async function tablesOfPolicy(): Promise<Map<string, string>> {
  const server = await startServer({ source: '' });
  const file = join(server.directory, 'names.txt');
  try {
    server.writeScript(WALK.replace('names.txt', () => file));
    const { problem } = await server.policies.examine();
    if (problem !== undefined) throw new Error(problem);
    const lines = readFileSync(file, 'latin1').trimEnd().split('\n');
    return new Map(
      lines.map((line): [string, string] => {
        const [name = '', type = ''] = line.split('\t');
        return [name, type];
      }),
    );
  } finally {
    await server.close();
  }
}
