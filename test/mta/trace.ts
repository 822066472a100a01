/** What a policy saw: each policy of the tests writes its calls to a file, one line a call, and the tests read it. */
import { existsSync, readFileSync } from 'node:fs';

/** One callback, in the order in which they came. Text is latin1: one character per byte. */
export interface Call {
  readonly session: string;
  readonly name: string;
  readonly args: readonly string[];
}

/**
 * The Lua every policy of the tests begins with: `trace(name, ...)` writes a line; each callback is defined to trace its
 * arguments and to return what `answer.NAME` returns where the policy sets one.
 */
export function policyPrelude(traceFile: string): string {
  return `
local function escape(value)
  return (tostring(value):gsub('[%c\\128-\\255\\\\]', function(c) return string.format('\\\\x%02x', c:byte()) end))
end

function trace(name, ...)
  local fields = { tostring(smtp.sess.id), name }
  for i = 1, select('#', ...) do fields[#fields + 1] = escape((select(i, ...))) end
  local file = assert(io.open('${traceFile}', 'a'))
  assert(file:write(table.concat(fields, '\\t'), '\\n'))
  assert(file:close())
end

answer = {}
local function go_on(name, ...)
  if answer[name] then return answer[name](...) end
  return smtp.code.ok
end

function smtp.do_connect(ip, ptr) trace('connect', ip, ptr) return go_on('connect', ip, ptr) end
function smtp.do_helo(arg) trace('helo', arg) return go_on('helo', arg) end
function smtp.do_mail(sender, params)
  trace('mail', sender, table.unpack(params))
  return go_on('mail', sender, params)
end
function smtp.do_rcpt(rcpt, params)
  trace('rcpt', rcpt, table.unpack(params))
  return go_on('rcpt', rcpt, params)
end
function smtp.do_data() trace('data') return go_on('data') end
function smtp.do_headers(headers) trace('headers', table.unpack(headers)) return go_on('headers', headers) end
function smtp.do_chunk(chunk, size) trace('chunk', size) return go_on('chunk', chunk, size) end
function smtp.do_dot(path) trace('dot') return go_on('dot', path) end
function smtp.rset() trace('rset') return go_on('rset') end
function smtp.close() trace('close') return go_on('close') end
`;
}

/** The calls traced so far; none while there is no file. */
export function readTrace(traceFile: string): Call[] {
  if (!existsSync(traceFile)) return [];
  const lines = readFileSync(traceFile, 'latin1').split('\n').slice(0, -1);
  return lines.map((line) => {
    const [session = '', name = '', ...args] = line.split('\t');
    return { session, name, args: args.map(unescapeBytes) };
  });
}

/** The names of the calls of each SMTP session, `connect helo close`, in the order in which the sessions began. */
export function callsBySession(calls: readonly Call[]): string[] {
  const sessions = new Map<string, string[]>();
  for (const { session, name } of calls) {
    const names = sessions.get(session);
    if (names) names.push(name);
    else sessions.set(session, [name]);
  }
  return [...sessions.values()].map((names) => names.join(' '));
}

function unescapeBytes(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/g, (_match, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
