/**
 * What smtp.sess tells of the client and the MTA beyond its own fields: taken from CONNECT and from macros, as soon as the
 * MTA has sent them.
 */
import type { LuaState } from 'fengari';
import { ascii, lua } from '../../lua/engine/engine.ts';
import { pushLatin1, pushNumber } from '../../lua/engine/values.ts';
import type { ClientEndpoint } from '../../milter/connect.ts';
import type { MacroReader } from '../../milter/policy.ts';
import type { SmtpTable } from './table.ts';

const FAMILIES = { unknown: 'unknown', unix: 'unix', inet4: 'inet', inet6: 'inet6' } as const;

/** At CONNECT: port (nil when unknown), family, and what the MTA says of itself. */
export function setConnectFields(table: SmtpTable, client: ClientEndpoint, macros: MacroReader): void {
  table.setSession('family', FAMILIES[client.family]);
  table.setSession('port', 'port' in client && client.port !== 0 ? client.port : undefined);
  // These macros stay what they are until the next CONNECT.
  table.setSession('daemon', () => macros.get('daemon_name'));
  table.setSession('host', () => macros.get('j'));
  // Postfix: {daemon_addr}. Sendmail: {if_addr}, absent on loopback.
  table.setSession('local_ip', () =>
    (macros.get('daemon_addr') ?? macros.get('if_addr'))?.replace(/^IPv6:/i, ''),
  );
}

/** At HELO and MAIL: smtp.sess.tls, nil on a plain connection. */
export function setTls(table: SmtpTable, macros: MacroReader): void {
  const version = macros.get('tls_version');
  if (version === undefined || version === '') {
    table.setSession('tls', undefined);
    return;
  }
  const subject = macros.get('cert_subject');
  const verify = macros.get('verify');
  table.pushSession('tls', (L) => {
    setText(L, 'version', version);
    setText(L, 'cipher', macros.get('cipher'));
    setNumber(L, 'bits', macros.get('cipher_bits'));
    setText(L, 'subject', subject);
    setText(L, 'issuer', macros.get('cert_issuer'));
    // Sendmail says so by {verify}; Postfix sends a subject only when it trusts the certificate.
    lua.lua_pushboolean(L, verify === undefined ? subject !== undefined && subject !== '' : verify === 'OK');
    lua.lua_setfield(L, -2, ascii('verified'));
  });
}

/** At MAIL: smtp.sess.auth, nil for a client that has not logged in. */
export function setAuth(table: SmtpTable, macros: MacroReader): void {
  const user = macros.get('auth_authen');
  if (user === undefined || user === '') {
    table.setSession('auth', undefined);
    return;
  }
  table.pushSession('auth', (L) => {
    setText(L, 'user', user);
    setText(L, 'mech', macros.get('auth_type'));
    setText(L, 'sender', macros.get('auth_author'));
  });
}

function setText(L: LuaState, name: string, value: string | undefined): void {
  if (value === undefined || value === '') return;
  pushLatin1(L, value);
  lua.lua_setfield(L, -2, ascii(name));
}

function setNumber(L: LuaState, name: string, digits: string | undefined): void {
  if (digits === undefined || !/^\d+$/.test(digits)) return;
  pushNumber(L, Number(digits));
  lua.lua_setfield(L, -2, ascii(name));
}
