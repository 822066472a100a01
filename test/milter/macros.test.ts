import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SMFIC } from '../../src/milter/constants.ts';
import { Macros } from '../../src/milter/macros.ts';

test('a name is found with and without braces', () => {
  const macros = new Macros();
  macros.replace(SMFIC.CONNECT, ['j', 'mx.example', '{daemon_name}', 'MTA'].join('\0'));
  assert.equal(macros.get('j'), 'mx.example');
  assert.equal(macros.get('{j}'), 'mx.example');
  assert.equal(macros.get('daemon_name'), 'MTA');
  assert.equal(macros.get('{daemon_name}'), 'MTA');
  assert.equal(macros.get('i'), undefined);
});

test('a packet replaces the whole set of its stage', () => {
  const macros = new Macros();
  macros.replace(SMFIC.MAIL, ['i', 'A1', '{auth_type}', 'PLAIN'].join('\0'));
  macros.replace(SMFIC.MAIL, ['i', 'A2'].join('\0'));
  assert.equal(macros.get('i'), 'A2');
  assert.equal(macros.get('auth_type'), undefined);
});

test('the latest stage wins, an empty value counts', () => {
  const macros = new Macros();
  macros.replace(SMFIC.BODYEOB, ['i', ''].join('\0'));
  macros.replace(SMFIC.MAIL, ['i', 'A1'].join('\0'));
  assert.equal(macros.get('i'), '');
  macros.clearAfter(SMFIC.MAIL);
  assert.equal(macros.get('i'), 'A1');
});

test('macros of header and body packets, and of unknown stages, are dropped', () => {
  const macros = new Macros();
  macros.replace(SMFIC.HEADER, ['i', 'H'].join('\0'));
  macros.replace(SMFIC.BODY, ['i', 'B'].join('\0'));
  macros.replace(0x7a, ['i', 'z'].join('\0'));
  assert.equal(macros.get('i'), undefined);
});

test('the end of a transaction keeps what belongs to the session', () => {
  const macros = new Macros();
  macros.replace(SMFIC.CONNECT, ['j', 'mx.example'].join('\0'));
  macros.replace(SMFIC.HELO, ['{tls_version}', 'TLSv1.3'].join('\0'));
  macros.replace(SMFIC.MAIL, ['i', 'A1'].join('\0'));
  macros.replace(SMFIC.RCPT, ['{rcpt_addr}', 'x'].join('\0'));
  macros.clearTransaction();
  assert.equal(macros.get('j'), 'mx.example');
  assert.equal(macros.get('tls_version'), 'TLSv1.3');
  assert.equal(macros.get('i'), undefined);
  assert.equal(macros.get('rcpt_addr'), undefined);
});

test('names of object properties are no macros', () => {
  const macros = new Macros();
  for (const name of ['__proto__', 'constructor', 'toString']) assert.equal(macros.get(name), undefined);
  macros.replace(SMFIC.CONNECT, ['{__proto__}', 'x'].join('\0'));
  assert.equal(macros.get('__proto__'), 'x');
});
