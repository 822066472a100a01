/** A recorded session as a test of the policy, in Lua. */
import { basename } from 'node:path';
import { wholeOf } from '../milter/body-bytes.ts';
import type { Command } from '../milter/command.ts';
import { addressOf, verifiedNameOf } from '../milter/connect.ts';
import { mailboxOf } from '../milter/envelope-address.ts';
import { macroPairs } from '../milter/macros.ts';
import type { Modification } from '../milter/reply.ts';

import { answerOf } from '../recording/kept-answer.ts';
import type { Entry, RecordedSession } from '../recording/recorded-session.ts';
import { escapeByte } from '../text/lua-escape.ts';
import { commandOf, read } from './commands.ts';
import { recordedSteps, type Step } from './steps.ts';

/** Macros that an imitated MTA has by itself, or by other fields of a session. */
const OWN_MACROS = /^(?:i|j|v|_|mail_\w+|rcpt_\w+|client_\w+|auth_\w+|tls_version)$/;

/** Latin1. @param policy path, from where the test will be */
export function testOf(session: RecordedSession, policy: string): string {
  const commands = session.entries.flatMap((entry) => commandIn(entry));
  const macros = macrosIn(commands);
  const out = [
    `-- Session ${session.id} of ${new Date(session.began).toISOString()}${session.script === undefined ? '' : `, script ${session.script}`}.`,
    ...(session.redacted.length > 0 ? [`-- Redacted: ${session.redacted.join(', ')}.`] : []),
    `test.policy ${quoted(basename(policy))}`,
    '',
    `test.case(${quoted(`session ${session.id}`)}, function()`,
    ...[`test.clock(${timesOf(session)[0]})`, ...worldLines(session), ...sessionLines(commands, macros)].map(
      (line) => `  ${line}`,
    ),
    ...saidLines(session, commands).map((line) => `  ${line}`),
    'end)',
  ];
  return `${out.join('\n')}\n`;
}

function commandIn(entry: Entry): Command[] {
  const command = entry[0] === 'command' ? commandOf(entry[1]) : undefined;
  return command ? [command] : [];
}

/** By bare name, the first value of each. */
function macrosIn(commands: readonly Command[]): ReadonlyMap<string, string> {
  const macros = new Map<string, string>();
  for (const command of commands) {
    if (command.kind !== 'macro') continue;
    const pairs = macroPairs(command.text);
    for (let i = 0; i + 1 < pairs.length; i += 2) {
      const name = (pairs[i] ?? '').replace(/^\{(.*)\}$/, '$1');
      if (!macros.has(name)) macros.set(name, pairs[i + 1] ?? '');
    }
  }
  return macros;
}

function worldLines({ entries }: RecordedSession): string[] {
  const dns = new Map<string, string>();
  const kv = new Map<string, string>();
  const maps = new Map<string, Map<string, string>>();
  const others = new Set<string>();
  for (const entry of entries) {
    if (entry[0] !== 'answer') continue;
    const [, service, question, kept] = entry;
    const answer = answerOf(kept);
    const [, name = '', key = ''] = /^(\S+) (.*)$/s.exec(question) ?? [];
    if (service === 'dns') {
      const records = answer.kind === 'known' && Array.isArray(answer.value) ? answer.value : undefined;
      const shown = records ? `{ ${records.map(recordText).map(quoted).join(', ')} }` : undefined;
      dns.set(`${key} ${name}`, shown ?? quoted(answer.kind === 'unknown' ? answer.failure : 'servfail'));
    } else if (service === 'store' && (name === 'kv.get' || name === 'kv.incr') && answer.kind === 'known') {
      const value = valueText(name, answer.value);
      if (value === undefined) others.add(`${service} ${question}`);
      else if (value !== '' && !kv.has(key)) kv.set(key, value);
    } else if (service === 'map' && answer.kind === 'known' && name !== 'open') {
      const map = maps.get(name) ?? new Map<string, string>();
      maps.set(name, map);
      if (typeof answer.value === 'string') map.set(key, quoted(answer.value));
    } else if (service !== 'map') others.add(`${service} ${question}`);
  }
  return [
    ...tableLines('test.dns', dns),
    ...tableLines('test.kv', kv),
    ...[...maps].flatMap(([spec, map]) => [`test.map(${quoted(spec)}, {`, ...fieldLines(map), '})']),
    ...[...others].map((question) => `-- Asked too, and to be set up by hand: ${oneLine(question)}`),
    ...(entries.some(isRandom) ? ['-- math.random gives other numbers here than it gave then.'] : []),
  ];
}

function recordText(record: unknown): string {
  const isExchanger = typeof record === 'object' && record !== null && 'host' in record && 'pref' in record;
  return isExchanger ? `${record.pref} ${record.host}` : String(record);
}

/** What stood under the key before: '' for nothing, undefined for what no line of a test says. */
function valueText(name: string, value: unknown): string | undefined {
  if (value === undefined || (name === 'kv.incr' && value === 1)) return '';
  if (name === 'kv.incr') return typeof value === 'number' ? String(value - 1) : undefined;
  if (value instanceof Uint8Array) return quoted(Buffer.from(value).toString('latin1'));
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

function sessionLines(commands: readonly Command[], macros: ReadonlyMap<string, string>): string[] {
  const connect = commands.find((command) => command.kind === 'connect');
  const fields = new Map<string, string>();
  const version = macros.get('v');
  if (version !== undefined && !version.startsWith('Postfix')) fields.set('mta', quoted('sendmail'));
  if (connect) {
    fields.set('ip', quoted(addressOf(connect.client)));
    if ('port' in connect.client && connect.client.port > 0) fields.set('port', String(connect.client.port));
    const ptr = verifiedNameOf(connect.hostname);
    if (ptr !== '') fields.set('ptr', quoted(ptr));
  }
  const [user, mech, tls] = ['auth_authen', 'auth_type', 'tls_version'].map((name) => macros.get(name));
  if (user) fields.set('auth', mech ? `{ user = ${quoted(user)}, mech = ${quoted(mech)} }` : quoted(user));
  if (tls) fields.set('tls', quoted(tls));
  const others = new Map([...macros].filter(([name]) => !OWN_MACROS.test(name)));
  if (others.size > 0) {
    const pairs = [...others].map(([name, value]) => `[${quoted(name)}] = ${quoted(value)}`);
    fields.set('macros', `{ ${pairs.join(', ')} }`);
  }
  return [
    'local s = test.session {',
    ...[...fields].map(([name, value]) => `  ${name} = ${value},`),
    '}',
    'local r',
  ];
}

function isRandom([kind]: Entry): boolean {
  return kind === 'random';
}

/** The time at each command, in seconds: as the policy read it, or as the command came. */
function timesOf({ began, entries }: RecordedSession): number[] {
  const times: number[] = [];
  let isRead = false;
  for (const entry of entries) {
    if (entry[0] === 'command' && commandOf(entry[1])) {
      times.push(Math.floor((began + entry[2]) / 1000));
      isRead = false;
    } else if (entry[0] === 'clock' && !isRead) {
      times[times.length - 1] = Math.floor(entry[1] / 1000);
      isRead = true;
    }
  }
  return times;
}

/** What the client says, and what it must hear. */
function saidLines(session: RecordedSession, commands: readonly Command[]): string[] {
  const lines: string[] = [];
  const steps = [...recordedSteps(read(session))];
  const times = timesOf(session);
  const hasRandom = session.entries.some(isRandom);
  const expect = (stage: Step['stage']): void => {
    const at = steps.findIndex((step) => step.stage === stage);
    const [step] = at < 0 ? [] : steps.splice(at, 1);
    if (step) for (const line of expectation(step, hasRandom)) lines.push(line);
  };
  let headers: string[] = [];
  let body: Buffer[] = [];
  let time = times[0];
  for (const [index, command] of commands.entries()) {
    const now = times[index];
    if (command.kind !== 'macro' && now !== undefined && now !== time) {
      time = now;
      lines.push(`test.clock(${now})`);
    }
    switch (command.kind) {
      case 'connect': {
        const [step] = steps.splice(0, steps[0]?.stage === 'connect' ? 1 : 0);
        if (step && step.reply.kind !== 'continue') {
          lines.push('r = s.greeting');
          for (const line of expectation(step, hasRandom)) lines.push(line);
        }
        break;
      }
      case 'helo':
        lines.push(`r = s:helo(${quoted(command.name)})`);
        expect('helo');
        break;
      case 'mail':
      case 'rcpt': {
        const args = [mailboxOf(command.address), ...command.params].map(quoted).join(', ');
        lines.push(`r = s:${command.kind}(${args})`);
        expect(command.kind);
        break;
      }
      case 'data':
        lines.push('r = s:data()');
        expect('data');
        break;
      case 'header':
        headers.push(`${command.name}:${command.value}`);
        break;
      case 'body':
        body.push(wholeOf(command.bytes));
        break;
      case 'endOfMessage': {
        for (const line of messageLines(headers, Buffer.concat(body))) lines.push(line);
        headers = [];
        body = [];
        expect('message');
        break;
      }
      case 'unknown':
        lines.push(`r = s:unknown(${quoted(command.line)})`);
        expect('unknown');
        break;
      default:
    }
  }
  return lines;
}

function messageLines(headers: readonly string[], body: Buffer): string[] {
  const text = body.toString('latin1').split('\n');
  const parts = text
    .map((line, i) => quoted(i + 1 < text.length ? `${line}\n` : line))
    .filter((part) => part !== '""');
  return [
    'r = s:message {',
    '  headers = {',
    ...headers.map((line) => `    ${quoted(line.replace(/\r?\n/g, '\r\n'))},`),
    '  },',
    ...(parts.length === 0
      ? []
      : ['  body = table.concat {', ...parts.map((part) => `    ${part},`), '  },']),
    '}',
  ];
}

/** @param isLoose the values of changes may be others */
function expectation({ stage, reply, edits }: Step, isLoose: boolean): string[] {
  switch (reply.kind) {
    case 'replyCode': {
      const [code, text] = [reply.text.slice(0, 3), reply.text.slice(4).replaceAll('%%', '%')];
      const [line = ''] = text.split(/\r?\n/);
      return [`test.reply(r, ${code}, ${quoted(line)})`];
    }
    case 'reject':
    case 'tempfail':
      return ['test.refused(r)'];
    case 'discard':
      return ['test.equal(r.action, "discard")'];
    default:
      return ['test.accepted(r)', ...(stage === 'message' ? [editsExpectation(edits, isLoose)] : [])];
  }
}

function editsExpectation(edits: readonly Modification[], isLoose: boolean): string {
  if (isLoose || edits.some(isSigned)) return `test.equal(#r.edits, ${edits.length})`;
  return `test.equal(r.edits, {${edits.map(editText).join(',')}})`;
}

/** No other key makes the same signature. */
function isSigned(edit: Modification): boolean {
  return 'name' in edit && /^(?:DKIM-Signature|ARC-Seal|ARC-Message-Signature)$/i.test(edit.name);
}

/** As a result shows it. */
function editText(edit: Modification): string {
  const fields = (table: Readonly<Record<string, string | number | undefined>>): string =>
    ` { ${Object.entries(table)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name} = ${typeof value === 'number' ? value : quoted(String(value))}`)
      .join(', ')} } `;
  switch (edit.kind) {
    case 'addHeader':
      return fields({ kind: 'add_header', name: edit.name, value: edit.value.replace(/^ /, '') });
    case 'insertHeader':
      return fields({
        ...{ kind: 'insert_header', index: edit.index, name: edit.name },
        value: edit.value.replace(/^ /, ''),
      });
    case 'changeHeader':
      return edit.value === ''
        ? fields({ kind: 'delete_header', index: edit.index, name: edit.name })
        : fields({
            ...{ kind: 'change_header', index: edit.index, name: edit.name },
            value: edit.value.replace(/^ /, ''),
          });
    case 'addRecipient':
      return fields({ kind: 'add_rcpt', address: mailboxOf(edit.address), params: edit.params });
    case 'deleteRecipient':
      return fields({ kind: 'del_rcpt', address: mailboxOf(edit.address) });
    case 'changeSender':
      return fields({ kind: 'set_sender', address: mailboxOf(edit.address), params: edit.params });
    case 'replaceBody':
      return fields({ kind: 'replace_body', body: edit.bytes.toString('latin1') });
    case 'quarantine':
      return fields({ kind: 'quarantine', reason: edit.reason });
    default:
      return edit satisfies never;
  }
}

function tableLines(name: string, fields: ReadonlyMap<string, string>): string[] {
  return fields.size === 0 ? [] : [`${name} {`, ...fieldLines(fields), '}'];
}

function fieldLines(fields: ReadonlyMap<string, string>): string[] {
  return [...fields].map(([key, value]) => `  [${quoted(key)}] = ${value},`);
}

/** A string of Lua. */
function quoted(latin1: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  return `"${latin1.replace(/["\\]/g, '\\$&').replace(/[\x00-\x1f\x7f-\xff]/g, escapeByte)}"`;
}

/** Of a comment: it ends with its line. */
function oneLine(latin1: string): string {
  return quoted(latin1).slice(1, -1);
}
