/** What the scripts of operations can call within Redis, and how they are named there. */
import { createHash } from 'node:crypto';

/** Times of the server, in whole milliseconds; lifetimes of 0 are for ever. */
const PRELUDE = `
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function put(key, data, ttl)
  if ttl == 0 then redis.call('SET', key, data) else
    redis.call('SET', key, data, 'PX', string.format('%d', math.max(1, math.ceil(ttl))))
  end
end
local function keep(key, data)
  local left = redis.call('PTTL', key)
  put(key, data, left > 0 and left or 0)
end
`;

export interface Script {
  readonly text: string;
  readonly sha: string;
}

const scripts = new Map<string, Script>();

/** The script of an operation, made once. */
export function scriptOf(body: string): Script {
  let script = scripts.get(body);
  if (script === undefined) {
    const text = PRELUDE + body;
    script = { text, sha: createHash('sha1').update(text).digest('hex') };
    scripts.set(body, script);
  }
  return script;
}
