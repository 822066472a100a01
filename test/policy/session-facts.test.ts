/** What functions of modules are told of the session that calls them, whatever the script does to its tables. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { LuaState } from 'fengari';
import { Template } from '../../src/lua/context/template.ts';
import { ascii, lua } from '../../src/lua/engine/engine.ts';
import { defaultLimits } from '../../src/lua/engine/host.ts';
import { SYSTEM } from '../../src/lua/engine/surroundings.ts';
import { ScriptFile } from '../../src/lua/script/script-file.ts';
import type { PolicyEvent } from '../../src/milter/policy.ts';
import { policyLibraries } from '../../src/modules/install.ts';
import { factsOf, type SessionFacts } from '../../src/modules/session.ts';
import { LuaPolicies } from '../../src/policy/lua-policies.ts';
import { servicesWith } from '../helpers/services.ts';

const SCRIPT = `
smtp.sess.ip = "forged"
tell("main")
for _, name in ipairs { "do_connect", "do_helo", "do_mail", "do_rcpt", "do_data", "do_headers", "rset", "close" } do
  smtp[name] = function()
    smtp.sess.ip, smtp.sess.auth, smtp.tran.sender = "forged", { user = "forged" }, "forged"
    if name == "do_rcpt" then smtp.delay(0) end
    tell(name)
  end
end`;

test('facts are those of the MTA, each from its callback to the end of what it belongs to', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-facts-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const script = join(directory, 'policy.lua');
  writeFileSync(script, SCRIPT);
  const told: Record<string, Partial<SessionFacts>> = {};
  const tell = (L: LuaState): number => {
    const { ip, helo, user, sender, recipient } = factsOf(L);
    const known = Object.entries({ ip, helo, user, sender, recipient }).filter(
      ([, fact]) => fact !== undefined,
    );
    told[lua.lua_tojsstring(L, 1)] = Object.fromEntries(known);
    return 0;
  };
  const install = (L: LuaState): void => {
    lua.lua_pushcfunction(L, tell);
    lua.lua_setglobal(L, ascii('tell'));
  };
  const quiet = {
    error: assert.fail,
    warning: assert.fail,
    notice: assert.fail,
    info: () => {},
    debug: () => {},
  };
  const policies = new LuaPolicies(new ScriptFile(script), {
    template: new Template([...policyLibraries(servicesWith()), { install }]),
    limits: defaultLimits,
    allowExecute: false,
    packagePath: '',
    asksForMacros: true,
    surroundings: SYSTEM,
    onError: 'tempfail',
    log: quiet,
    print: () => {},
    announce: () => {},
    createMessageFile: () => assert.fail('no file is needed'),
    deadlineMs: 10_000,
    endOfMessageDeadlineMs: 10_000,
  });
  const macros = new Map([['auth_authen', '']]);
  const policy = await policies.open({
    id: 's1',
    macros: { get: (name) => macros.get(name) },
    grantedActions: () => 0,
  });
  const say = async (...events: PolicyEvent[]): Promise<void> => {
    for (const event of events) assert.equal((await policy.handle(event)).kind, 'continue', event.kind);
  };
  const client = { family: 'inet4', address: '192.0.2.7', port: 25 } as const;
  await say({ kind: 'connect', hostname: 'mx.example', client }, { kind: 'helo', name: 'mx.example' });
  macros.set('auth_authen', 'joe');
  await say(
    { kind: 'mail', address: 'a@b.example', written: '<a@b.example>', params: [] },
    { kind: 'rcpt', address: 'c@d.example', written: '<c@d.example>', params: [] },
    { kind: 'data' },
    { kind: 'headers', lines: ['Subject: x'] },
    { kind: 'reset' },
  );
  macros.clear();
  await say({ kind: 'close' });
  policy.dispose();

  const client7 = { ip: '192.0.2.7' };
  const greeted = { ...client7, helo: 'mx.example' };
  const mail = { ...greeted, user: 'joe', sender: 'a@b.example' };
  assert.deepEqual(told, {
    main: { ip: '' },
    do_connect: client7,
    do_helo: greeted,
    do_mail: mail,
    do_rcpt: { ...mail, recipient: 'c@d.example' },
    do_data: mail,
    do_headers: mail,
    rset: mail,
    close: greeted,
  });
});
