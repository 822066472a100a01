/** What a policy reads of a message and gives back comes out as it was, behind real mail servers. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SPELLINGS } from './address-spellings.ts';
import { besideMta } from './beside-mta.ts';
import { Client } from './mail-client.ts';
import type { MtaName } from './mail-server.ts';
import { postfixUnavailable, startPostfix } from './postfix.ts';
import { sendmailUnavailable, startSendmail } from './sendmail.ts';
import type { MtaSetup } from './suite.ts';

const IN_CI = process.env.CI === 'true';
const ORACLE = fileURLToPath(new URL('header-oracle.py', import.meta.url));

interface Field {
  readonly text: string;
  readonly addresses: readonly (readonly [name: string, address: string])[] | null;
}

/** @returns an answer to each request; see header-oracle.py. */
function askPython(requests: readonly unknown[]): unknown[] {
  const { stdout, stderr, error } = spawnSync('python3', [ORACLE], {
    input: JSON.stringify(requests),
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (error) throw error;
  assert.ok(stdout !== '', stderr);
  return JSON.parse(stdout) as unknown[];
}

const pythonUnavailable = () =>
  spawnSync('python3', ['--version']).error ? 'python3 is not installed (.ci/install)' : undefined;

const GIVE_SENDER = `
  function smtp.do_dot()
    smtp.set_sender(smtp.tran.sender)
    header.add("X-Sender", "<" .. smtp.tran.sender .. ">", { raw = true })
  end`;

/** Adds those whom the To names; what cannot be added is said in a header. */
const ADD_THE_TO = `
  function smtp.do_dot()
    for _, entry in ipairs(header.addr("To")) do
      local ok, why = pcall(smtp.add_rcpt, entry.addr)
      if not ok then header.add("X-Why", why) end
    end
  end`;

/** To -> who gets the message besides its one recipient, or why nobody. */
const LISTS: readonly (readonly [list: string, recipients: readonly string[], why?: RegExp])[] = [
  ['x@dest.test', ['x@dest.test']],
  ['<x@dest.test>', ['x@dest.test']],
  ['X Y <x@dest.test>, "Y, Z" <y@dest.test>', ['x@dest.test', 'y@dest.test']],
  ['x @ dest . test', ['x@dest.test']],
  ['<x @ dest.test >', ['x@dest.test']],
  ['(before) x(a)@(b)dest.test (after)', ['x@dest.test']],
  ['x@dest.test (nested (comment) \\) x@evil.test)', ['x@dest.test']],
  ['"x y"@dest.test', ['"x y"@dest.test']],
  ['"x@y"@dest.test', ['"x@y"@dest.test']],
  ['"x\\"y"@dest.test', ['"x\\"y"@dest.test']],
  ['"x"."y"@dest.test', ['x.y@dest.test']],
  ['"x" . y@dest.test', ['x.y@dest.test']],
  ['=?utf-8?Q?J=C3=BCrgen?= <x@dest.test>', ['x@dest.test']],
  ['=?utf-8?Q?a=2C_b_=3Cev=40il.test=3E?= <x@dest.test>', ['x@dest.test']],
  ['"ev@il.test" <x@dest.test>', ['x@dest.test']],
  ['"<ev@il.test>," <x@dest.test>', ['x@dest.test']],
  ['group: x@dest.test, Y <y@dest.test>;', ['x@dest.test', 'y@dest.test']],
  ['undisclosed-recipients:;', []],
  ['empty: ;, x@dest.test', ['x@dest.test']],
  ['<@route.test:x@dest.test>', ['x@dest.test']],
  ['x@DEST.Test.', ['x@dest.test']],
  ['x@[127.0.0.1]', ['x@[127.0.0.1]']],
  ['x\r\n @dest.test,\r\n\ty@dest.test', ['x@dest.test', 'y@dest.test']],
  [',, x@dest.test ,', ['x@dest.test']],
  ['<>', [], /empty address/],
];

/** Texts, and what a stranger may put into a display name. */
const TEXTS: Readonly<Record<string, readonly string[]>> = {
  'iso-8859-1': ['Grüße aus Köln', `${'Grüße '.repeat(330)}Ende`],
  'windows-1252': ['„Preis“ – 5 €'],
  'koi8-r': ['Привет, мир'],
  gb18030: ['你好,世界'],
  'iso-2022-jp': ['日本語のメール'],
  'utf-8': [
    'Grüße',
    '你好,世界',
    '👩‍👩‍👧 hi 🎉',
    `${'日本語'.repeat(220)}`,
    'a, b <ev@il.test>',
    'x" <ev@il.test>, "y',
    '=?utf-8?q?x?=',
  ],
};

interface Row {
  readonly what: string;
  /** As they go over the wire, folds as LF and a blank; of a display name in From and To. */
  readonly words: string;
  /** What it says. */
  readonly text: string;
}

/** Encoded words of all charsets, in both encodings, and with characters divided. */
function encodedRows(): Row[] {
  const cases = Object.entries(TEXTS).flatMap(([charset, texts]) =>
    texts.flatMap((text) =>
      (['B', 'Q'] as const).flatMap((encoding) =>
        [24, ...(charset === 'utf-8' || charset === 'gb18030' ? [7] : [])].map((bytes) => ({
          ...{ words: text, text, charset, encoding },
          bytes: charset === 'iso-2022-jp' ? 0 : bytes,
        })),
      ),
    ),
  );
  const words = askPython(cases) as string[];
  return cases.map(({ text, charset, encoding, bytes }, i) => ({
    what: `${charset} ${encoding} ${bytes} ${text.slice(0, 20)}`,
    words: words[i] ?? '',
    text,
  }));
}

const latin1 = (text: string) => Buffer.from(text).toString('latin1');

/** As they stand, but for the folds: those of Subject and Comments, and those of From and To. */
const PLAIN_ROWS: readonly Row[] = [
  { what: 'plain', words: 'plain words', text: 'plain words' },
  { what: 'folded', words: 'one\n two\n three', text: 'one two three' },
  {
    what: 'long',
    words: `${'word '.repeat(400)}end`.replace(/(.{500}) /g, '$1\n '),
    text: `${'word '.repeat(400)}end`,
  },
  { what: 'mixed', words: 'x =?utf-8?q?=C3=BC?= y =?utf-8?b?w7w=?=', text: 'x ü y ü' },
  { what: 'raw UTF-8', words: latin1('Grüße'), text: 'Grüße' },
];

/** From and To as they stand -> names and addresses. */
const ADDRESS_ROWS: readonly (readonly [list: string, addresses: Field['addresses']])[] = [
  ['"a, b" <x@src.test>', [['a, b', 'x@src.test']]],
  ['"a \\"b\\" <ev@il.test>" <x@src.test>', [['a "b" <ev@il.test>', 'x@src.test']]],
  ['=?utf-8?q?a=2C_b_=3Cev=40il=3E?= <x@src.test>', [['a, b <ev@il>', 'x@src.test']]],
  ['=?utf-8?q?x=22_=3Cev=40il.test=3E=2C_=22y?= <x@src.test>', [['x" <ev@il.test>, "y', 'x@src.test']]],
  ['=?utf-8?q?ev=40il.test?= <x@src.test>', [['ev@il.test', 'x@src.test']]],
  ['=?utf-8?q?=5C?= <x@src.test>', [['\\', 'x@src.test']]],
  [
    '=?utf-8?q?J=C3=BCrgen?= <x@src.test>,\n =?koi8-r?b?8NLJ18XU?= <y@src.test>',
    [
      ['Jürgen', 'x@src.test'],
      ['Привет', 'y@src.test'],
    ],
  ],
];

const defineRoundTrips =
  (name: MtaName) =>
  (setup: MtaSetup, install: (lua: string) => void): void => {
    const begin = async (client: Client, parameters = '') => {
      assert.match(await client.say(`MAIL FROM:<a@src.test>${parameters}`), /^250/);
      assert.match(await client.say('RCPT TO:<b@dest.test>'), /^250/);
    };

    test('smtp.tran.sender is the sender that smtp.set_sender makes of it', async (t) => {
      install(GIVE_SENDER);
      const client = await Client.open(t, setup);
      let taken = 0;
      for (const spelling of ['<>', '<a@src.test>', ...SPELLINGS]) {
        if ((await client.mail(spelling)).startsWith('250')) {
          taken += 1;
          assert.match(await client.say('RCPT TO:<b@dest.test>'), /^250/);
          const { sender, content } = await client.message();
          const [, given = ''] = /^X-Sender: <(.*)>\r$/m.exec(content) ?? [];
          // Who has no domain gets one.
          const expected = given === '' || /@[^"]*$/.test(given) ? given : `${given}@mta.test`;
          assert.equal(sender, expected, spelling);
        }
        await client.say('RSET');
      }
      await client.quit();
      assert.ok(taken >= 60, String(taken));
    });

    test('addresses in To are recipients for smtp.add_rcpt', async (t) => {
      install(ADD_THE_TO);
      const client = await Client.open(t, setup);
      for (const [list, recipients, why] of LISTS) {
        await begin(client);
        const delivered = await client.message(['From: a@src.test', `To: ${list}`]);
        const others = delivered.recipients.filter((recipient) => recipient !== 'b@dest.test');
        assert.deepEqual(others.sort(), [...recipients].sort(), list);
        const [, said] = /^X-Why: (.*)$/m.exec(delivered.content) ?? [];
        if (why === undefined) assert.equal(said, undefined, list);
        else assert.match(said ?? '', why, list);
      }
      await client.quit();
    });

    describe('headers', { skip: IN_CI ? false : pythonUnavailable() }, () => {
      const giveBack = (options = '') => `
        function smtp.do_headers()
          for _, name in ipairs { "Subject", "Comments", "From", "To" } do
            if header.get(name) then header.set(name, header.get(name)${options}) end
          end
        end`;
      /** What was read of each message, after lines were looked at. */
      const send = async (client: Client, lines: readonly string[]) => {
        await begin(client);
        const wire = lines.map((line) => line.replaceAll('\n', '\r\n'));
        const { content } = await client.message(wire);
        const head = content.slice(0, content.indexOf('\r\n\r\n'));
        for (const line of head.split('\r\n')) assert.ok(line.length <= 998, line);
        assert.match(head, /^[\r\n\t -~]*$/);
        for (const [word] of head.matchAll(/=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=/g))
          assert.ok(word.length <= 75, word);
        return content;
      };
      const read = (messages: readonly string[]) =>
        askPython(messages.map((message) => ({ read: message }))) as Record<string, Field>[];

      test('texts and display names come out as they were', async (t) => {
        install(giveBack());
        const client = await Client.open(t, setup);
        const rows = [...encodedRows(), ...PLAIN_ROWS];
        // Sendmail itself loses the address behind a long name.
        const isShort = (words: string) => name === 'postfix' || words.length < 1000;
        const contents: string[] = [];
        for (const { words } of rows) {
          const lines = [`Subject: ${words}`, `Comments: ${words}`];
          if (isShort(words))
            lines.push(`From: ${words} <x@src.test>`, `To: y@dest.test,\n ${words}\n <z@dest.test>`);
          else lines.push('From: x@src.test', 'To: y@dest.test');
          contents.push(await send(client, lines));
        }
        await client.quit();
        const seen = read(contents);
        rows.forEach(({ what, words, text }, i) => {
          const { Subject, Comments, From, To } = seen[i] ?? {};
          const context = `${what}\n${contents[i]}`;
          assert.equal(Subject?.text, text, context);
          assert.equal(Comments?.text, text, context);
          if (!isShort(words)) return;
          assert.deepEqual(From?.addresses, [[text, 'x@src.test']], context);
          assert.deepEqual(
            To?.addresses,
            [
              ['', 'y@dest.test'],
              [text, 'z@dest.test'],
            ],
            context,
          );
        });
      });

      test('addresses and names stay what they are', async (t) => {
        install(giveBack());
        const client = await Client.open(t, setup);
        const contents: string[] = [];
        for (const [list] of ADDRESS_ROWS) {
          contents.push(await send(client, [`From: ${list}`, `To: ${list}`]));
        }
        await client.quit();
        const seen = read(contents);
        ADDRESS_ROWS.forEach(([list, addresses], i) => {
          assert.deepEqual(seen[i]?.From?.addresses, addresses, list);
          assert.deepEqual(seen[i]?.To?.addresses, addresses, list);
        });
      });

      test('bytes that are no UTF-8 are the same bytes in words that say so', async (t) => {
        install(giveBack());
        const client = await Client.open(t, setup);
        const content = await send(client, ['From: a@src.test', 'To: b@dest.test', 'Subject: caf\xe9']);
        assert.match(content, /^Subject: =\?unknown-8bit\?Q\?caf=E9\?=\r$/m);
        await client.quit();
      });

      test('no header of a stranger is too long to be tagged', async (t) => {
        install(`
          function smtp.do_headers()
            header.set("Subject", "[x] " .. header.get("Subject"))
            header.set("From", '"[x]" ' .. header.get("From"))
          end`);
        const client = await Client.open(t, setup);
        const [words] = askPython([
          { words: 'п'.repeat(20_000), charset: 'koi8-r', encoding: 'B', bytes: 40 },
        ]) as string[];
        // What the servers show of a message: Sendmail has 32,768 bytes for all headers.
        const most = (words ?? '').slice(0, name === 'postfix' ? 59_000 : 31_000);
        const huge = most.slice(0, most.lastIndexOf('\n'));
        const subject = await send(client, ['From: x@src.test', 'To: b@dest.test', `Subject: ${huge}`]);
        assert.match(subject, /^Subject: \[x\] =\?utf-8\?B\?/m);
        const from = await send(client, [`From: ${huge} <x@src.test>`, 'To: b@dest.test', 'Subject: y']);
        assert.match(from, /^Subject: \[x\] y\r$/m);
        assert.match(from, /^From: "?\[x\]/m);
        const word = 'z'.repeat(1500);
        await begin(client); // Sendmail joins what was folded.
        const { content: long } = await client.message([
          `From: x@src.test,\r\n ${word}@src.test`,
          'To: b@dest.test',
          'Subject: y',
        ]);
        assert.match(long, /^Subject: \[x\] y\r$/m);
        await client.quit();
      });

      for (const [what, parameters, options, text] of [
        ['with SMTPUTF8', ' SMTPUTF8', '', latin1('Grüße 你好 🎉')],
        ['with raw', ' BODY=8BITMIME', ', { raw = true }', `${latin1('Grüße 你好 🎉')} \xe9 =?x`],
      ] as const) {
        test(`the bytes are as given ${what}`, {
          skip: what === 'with SMTPUTF8' && name !== 'postfix',
        }, async (t) => {
          install(giveBack(options));
          const client = await Client.open(t, setup);
          await begin(client, parameters);
          const { content } = await client.message([
            'From: a@src.test',
            'To: b@dest.test',
            `Subject: ${text}`,
          ]);
          assert.ok(content.includes(`Subject: ${text}\r\n`), content);
          await client.quit();
        });
      }
    });
  };

besideMta('postfix', 'round trips', postfixUnavailable(), startPostfix, defineRoundTrips('postfix'));
besideMta('sendmail', 'round trips', sendmailUnavailable(), startSendmail, defineRoundTrips('sendmail'));
