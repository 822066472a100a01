/** The imitated MTAs say to a filter what the real ones said: recorded sessions, played again from the client's side. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { wholeOf } from '../../src/milter/body-bytes.ts';
import type { Command } from '../../src/milter/command.ts';
import { macroPairs } from '../../src/milter/macros.ts';
import type { Policy, PolicyEvent, Verdict } from '../../src/milter/policy.ts';
import { replyLines } from '../../src/workbench/client-reply.ts';
import { ImitatedMta } from '../../src/workbench/imitated-mta.ts';
import { EVERYTHING } from '../helpers/interests.ts';
import { bytesFrom, readTranscript } from '../helpers/transcript.ts';
import { commandsOf } from '../milter/commands-of.ts';

/** A policy that wants everything and lets it go on, but for what the recorded filters refused. */
function recordedPolicy(): Policy {
  return {
    interests: { ...EVERYTHING, actions: 0 },
    handle(event: PolicyEvent): Verdict {
      return event.kind === 'rcpt' && event.address === 'refused@dest.test'
        ? { kind: 'reply', code: 550, lines: ['5.7.1 refused here'] }
        : { kind: 'continue' };
    },
    cancel() {},
    dispose() {},
  };
}

interface Line {
  readonly from: 'C' | 'S';
  readonly text: string;
}

/** What client and server said, in order. `\xe9` and `\t` stand for what they name. */
function dialogueOf(name: string): Line[] {
  const source = readFileSync(new URL(`../captures/${name}.txt`, import.meta.url), 'utf8');
  return [...source.matchAll(/^# ([CS]):(?! and S:)(?: (.*))?$/gm)].map(([, from, text = '']) => ({
    from: from === 'C' ? 'C' : 'S',
    text: text
      .replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
      .replaceAll('\\t', '\t'),
  }));
}

/** Says the client's part. What the server said is compared, but for what each session has anew. */
async function play(mta: ImitatedMta, lines: readonly Line[], dropped: boolean): Promise<void> {
  const heard = lines.filter(({ from }) => from === 'S').map(({ text }) => text);
  const replies: string[] = replyLines(await mta.connect());
  let content: string[] | undefined;
  for (const { from, text } of lines) {
    if (from === 'S') continue;
    if (content) {
      if (text !== '.') content.push(text.replace(/^\./, ''));
      else {
        const bytes = Buffer.from(content.map((line) => `${line}\r\n`).join(''), 'latin1');
        replies.push(...replyLines((await mta.message(bytes)).reply));
        content = undefined;
      }
      continue;
    }
    const [, verb = '', rest = ''] = /^(\S+) ?(.*)$/.exec(text) ?? [];
    const [, path = '', params = ''] = /:(\S*) ?(.*)$/.exec(rest) ?? [];
    const given = params === '' ? [] : params.split(' ');
    switch (verb) {
      case 'HELO':
      case 'EHLO':
        replies.push(...replyLines(await mta.helo(rest)));
        break;
      case 'MAIL':
        replies.push(...replyLines(await mta.mail(path, given)));
        break;
      case 'RCPT':
        replies.push(...replyLines(await mta.rcpt(path, given)));
        break;
      case 'DATA':
        replies.push(...replyLines(await mta.data()));
        content = [];
        break;
      case 'RSET':
        replies.push(...replyLines(await mta.rset()));
        break;
      case 'QUIT':
        replies.push(...replyLines(await mta.quit()));
        break;
      default:
        replies.push(...replyLines(await mta.unknown(text)));
    }
  }
  if (dropped) await mta.drop();
  else assert.deepEqual(replies.map(plain), heard.filter((line) => !/^250-/.test(line)).map(plain));
}

/** Without ids, dates, what EHLO lists, and the address that the client left without brackets. */
function plain(line: string): string {
  return line
    .replace(/; \w{3}, .*/, '')
    .replace(/queued as \w+/, 'queued as ID')
    .replace(/2\.0\.0 \w+ Message/, '2.0.0 ID Message')
    .replace(/^250[ -](CHUNKING|HELP|mta\.test.*)$/, '250 EHLO')
    .replace('<Bare@dest.test>', 'Bare@dest.test');
}

const MACROS_OF_THE_SITE = new Set(['{mail_host}', '{mail_mailer}', '{rcpt_host}', '{rcpt_mailer}']);

/** A command as far as it must be the same in every session. */
function stable(command: Command): unknown {
  switch (command.kind) {
    case 'macro': {
      const texts = macroPairs(command.text);
      const pairs = texts.flatMap((name, index) => {
        if (index % 2 === 1 || MACROS_OF_THE_SITE.has(name)) return [];
        return [[name, name === 'i' ? 'ID' : withoutIds(texts[index + 1] ?? '')]];
      });
      return ['macro', String.fromCharCode(command.stage), ...pairs];
    }
    case 'connect':
      return ['connect', command.hostname, { ...command.client, port: 0 }];
    case 'header':
      return ['header', command.name, withoutIds(command.value)];
    case 'body':
      return ['body', wholeOf(command.bytes).toString('latin1')];
    case 'endOfMessage':
      return 'endOfMessage';
    case 'rcpt':
      return { ...command, address: command.address.replace('<Bare@dest.test>', 'Bare@dest.test') };
    default:
      return command;
  }
}

function withoutIds(value: string): string {
  return value
    .replace(/<\d{12,14}\.\w+@mta\.test>/, '<DATE.ID@mta.test>')
    .replace(/^ \w{3}, \d\d \w{3} 2\d{3} [\d:]{8} (?=\+0000 \(UTC\))/, ' DATE ');
}

for (const kind of ['postfix', 'sendmail'] as const) {
  for (const session of [
    'plain',
    'two-messages',
    'rcpt-refused',
    'rset',
    'second-helo-unknown',
    'parameters-8bit-folds',
    'empty-body',
    'ipv6',
    'drop-in-data',
  ]) {
    test(`${kind}: ${session}`, async () => {
      const name = `${kind}-${session}`;
      const ipv6 = session === 'ipv6';
      const heard: Command[] = [];
      const client = {
        ip: ipv6 ? '::1' : '127.0.0.1',
        ptr: ipv6 ? '' : 'localhost',
        port: 4242,
        macros: new Map([
          ['j', 'mta.test'],
          ...(kind === 'sendmail' ? [['daemon_name', ipv6 ? 'MTA-v6' : 'MTA-v4'] as const] : []),
        ]),
      };
      const mta = new ImitatedMta(kind, client, {
        policies: { open: recordedPolicy },
        nextSessionId: () => 's1',
        warn: (message) => assert.fail(message),
        heard: (command) => heard.push(command),
      });
      const dropped = session === 'drop-in-data';
      await play(mta, dialogueOf(name), dropped);
      const recorded = commandsOf([bytesFrom('MTA', readTranscript(name))]);
      assert.deepEqual(heard.map(stable), recorded.map(stable));
    });
  }
}
